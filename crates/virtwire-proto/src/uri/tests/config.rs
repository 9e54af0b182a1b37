//! libvirt.conf as a list of cases.

use super::super::*;
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

fn config(text: &str) -> ClientConfig {
    ClientConfig::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

const ALIASES: &str = r#"
# Aliases
uri_aliases = [
  "hail=qemu+ssh://root@hail.cloud.example.com/system",
  'sleet=qemu+ssh://root@sleet.cloud.example.com/system',
  """a_B-9=test:///default""",
]
"#;

#[test]
fn aliases_are_resolved() {
    let config = config(ALIASES);
    assert_eq!(config.uri_aliases.len(), 3);
    assert_eq!(config.alias("sleet"), Ok(Some("qemu+ssh://root@sleet.cloud.example.com/system")));
    assert_eq!(config.alias("a_B-9"), Ok(Some("test:///default")));
    assert_eq!(config.alias("snow"), Ok(None));
    assert_eq!(config.alias("hai"), Ok(None));
    assert_eq!(config.alias(""), Ok(None));
}

#[test]
fn an_alias_of_other_characters_is_an_error_once_it_is_reached() {
    for entry in ["a.b=test:///default", "a b=test:///default", "\u{e9}=test:///default", "test:///default"] {
        let config = ClientConfig {
            uri_aliases: ["first=test:///default", entry].map(Into::into).into(),
            ..ClientConfig::default()
        };
        assert_eq!(config.alias("first"), Ok(Some("test:///default")));
        assert_eq!(config.alias("x"), Err(ResolveError::MalformedAlias { entry: entry.into() }));
        assert!(config.resolve(Some("qemu:///system"), None).is_err());
    }
}

#[test]
fn a_uri_with_an_equals_sign_behind_the_alias() {
    let config = config(r#"uri_aliases = ["a=qemu:///system?mode=legacy"]"#);
    assert_eq!(config.alias("a"), Ok(Some("qemu:///system?mode=legacy")));
}

#[test]
fn what_a_user_means() {
    let mut config = config(ALIASES);
    let shown = |config: &ClientConfig, name, default| {
        config.resolve(name, default).unwrap().map(|uri| uri.to_string())
    };
    // Nothing says a URI.
    assert_eq!(shown(&config, None, None), None);
    assert_eq!(shown(&config, Some(""), Some("")), None);
    // The name, then the environment, then the configuration; each can be an alias.
    config.uri_default = Some("a_B-9".into());
    assert_eq!(shown(&config, Some("qemu:///session"), Some("hail")), Some("qemu:///session".into()));
    let hail = "qemu+ssh://root@hail.cloud.example.com/system";
    assert_eq!(shown(&config, None, Some("hail")), Some(hail.into()));
    assert_eq!(shown(&config, Some(""), None), Some("test:///default".into()));
    config.uri_default = Some(String::new());
    assert_eq!(shown(&config, None, None), None);
    // As virsh has it, in any case, but for xen:// in this one only.
    for name in ["xen", "XEN", "xen://"] {
        assert_eq!(shown(&config, Some(name), None), Some("xen:///system".into()));
    }
    let error = config.resolve(Some("snow"), None).unwrap_err();
    assert!(error.to_string().contains("expected a driver's name"), "{error}");
}

#[test]
fn all_settings_of_a_client_and_none_of_others() {
    let config = config(
        "uri_default = \"qemu:///system\"\nremote_mode='direct' # how\r\nremote_proxy = \"native\";\
         tls_priority=\"\"\"NORMAL\n:x\"\"\"\nother = [1, [-2, \"x\"], +3]\nodd=1; ",
    );
    assert_eq!(config.uri_default.as_deref(), Some("qemu:///system"));
    assert_eq!(config.remote_mode, Some(Mode::Direct));
    assert_eq!(config.remote_proxy, Some(Proxy::Native));
    assert_eq!(config.tls_priority.as_deref(), Some("NORMAL\n:x"));
    assert!(config.uri_aliases.is_empty());
}

#[test]
fn nothing_but_comments() {
    for text in ["", "\n\n", "# only", "#\n # x\n\t#uri_default = \"x\"\n"] {
        assert_eq!(config(text), ClientConfig::default());
    }
}

#[test]
fn the_first_of_a_setting_counts_and_a_backslash_is_one() {
    let config = config("uri_default = \"a\\nb\"\nuri_default = \"c\"");
    assert_eq!(config.uri_default.as_deref(), Some("a\\nb"));
}

#[test]
fn errors_say_the_line_what_was_expected_and_what_came() {
    let cases = [
        ("uri_default", 1, "expected =, found the end"),
        ("\n\n= 1", 3, "expected the name of a setting, found '='"),
        ("_x = 1", 1, "expected the name of a setting, found '_'"),
        ("x = \n", 1, "expected a string, a number or a list, found '\\n'"),
        ("x = yes", 1, "expected a string, a number or a list, found 'y'"),
        ("x = -", 1, "expected a digit, found the end"),
        ("a = 1\nx = \"yes\nno\"", 2, "expected a string with quotes at both its ends, found '\"'"),
        ("x = \"\"\"a\nb", 1, "expected a string with quotes at both its ends, found '\"'"),
        ("x = [ 1 2 ]", 1, "expected , or ] in a list, found '2'"),
        ("x = [\n 1,\n", 3, "expected a string, a number or a list, found the end"),
        ("x = [ # a comment\n]", 1, "expected a string, a number or a list, found '#'"),
        ("x = 1 y = 2", 1, "expected the end of the line, found 'y'"),
        ("uri_default = 1", 1, "uri_default is to be a string"),
        ("\nuri_aliases = \"a=b\"", 2, "uri_aliases is to be a list of strings"),
        ("uri_aliases = [1]", 1, "uri_aliases is to be a list of strings"),
        ("remote_mode = \"odd\"", 1, "remote_mode is to be \"auto\", \"legacy\" or \"direct\""),
        ("remote_proxy = \"nc\"", 1, "remote_proxy is to be \"auto\", \"netcat\" or \"native\""),
        ("remote_proxy = 7", 1, "remote_proxy is to be a string"),
    ];
    for (text, line, kind) in cases {
        let error = ClientConfig::parse(text).unwrap_err();
        assert_eq!((error.line, &*error.kind.to_string()), (line, kind), "{text:?}");
    }
}

#[test]
fn lists_nested_without_end_are_refused() {
    let text: String = ["x = "].into_iter().chain(core::iter::repeat_n("[", 100_000)).collect();
    assert!(ClientConfig::parse(&text).is_err());
}

/// A configuration, and whether virsh 9.0.0 opens `test:///default` with it where no URI is named.
#[test]
fn what_virsh_takes_is_taken() {
    let cases = [
        ("uri_default = \"test:///default\"", true),
        ("uri_default = 'test:///default' # c", true),
        ("uri_default = \"test:///default\"; ;\n", false),
        ("uri_default = \"test:///default\";;\n", false),
        ("uri_default = \"test:///default\"\nuri_default=\"qemu:///x\"\n", true),
        ("uri_default = 1\n", false),
        ("uri_aliases = [ \"a=test:///default\", ]\nuri_default=\"a\"", true),
        ("uri_aliases = [ \"a=test:///default\", \"b.c=x\" ]\nuri_default=\"a\"", true),
        ("uri_aliases = [ \"b.c=x\", \"a=test:///default\" ]\nuri_default=\"a\"", false),
        ("uri_aliases = [ # c\n \"a=test:///default\" ]\nuri_default=\"a\"", false),
        ("uri_aliases = \"a=test:///default\"\nuri_default=\"a\"", false),
        ("uri_aliases = [1, \"a=test:///default\"]\nuri_default=\"a\"", false),
        ("uri_aliases = [ \"A_-9=test:///default\" ]\nuri_default=\"A_-9\"", true),
        ("x = \"\"\"a\nb\"\"\"\nuri_default=\"test:///default\"", true),
        ("x = \"\"\"\"\"\"\nuri_default=\"test:///default\"", true),
        ("x = \"\"\nuri_default=\"test:///default\"", true),
        ("x=1\r\nuri_default=\"test:///default\"\r\n", true),
        ("x=1;#c\nuri_default=\"test:///default\"", true),
        ("x=1 # c ; y\n;uri_default=\"test:///default\"", false),
        ("x=[1,\n]\nuri_default=\"test:///default\"", true),
        ("x=[[1]]\nuri_default=\"test:///default\"", true),
        ("x=[]\nuri_default=\"test:///default\"", true),
        ("x=[1,,2]\nuri_default=\"test:///default\"", false),
        ("x=+5\nuri_default=\"test:///default\"", true),
        ("x=\"a\rb\"\nuri_default=\"test:///default\"", false),
        ("x.y=1\nuri_default=\"test:///default\"", false),
        ("x-y=1\nuri_default=\"test:///default\"", false),
        ("_x=1\nuri_default=\"test:///default\"", false),
        ("\u{feff}x=1\nuri_default=\"test:///default\"", false),
        ("x=\"\"\"\"\nuri_default=\"test:///default\"", false),
    ];
    for (text, is_taken) in cases {
        let uri = ClientConfig::parse(text).ok().and_then(|config| config.resolve(None, None).ok().flatten());
        assert_eq!(uri.is_some_and(|uri| uri.to_string() == "test:///default"), is_taken, "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_reads_or_is_an_error(text in "([a-z_=\"'#;,\\[\\]0-9 \n-]|uri_default ?= ?|uri_aliases ?= ?){0,30}") {
        if let Err(error) = ClientConfig::parse(&text) {
            prop_assert!(error.line <= 1 + text.matches('\n').count());
        }
    }

    #[test]
    fn any_list_of_strings_reads_as_it_was_written(entries in prop::collection::vec("[a-z=:/ ]{0,10}", 0..5)) {
        let quoted: Vec<String> = entries.iter().map(|entry| alloc::format!("\"{entry}\"")).collect();
        let text = alloc::format!("uri_aliases = [ {} ]", quoted.join(",\n"));
        prop_assert_eq!(config(&text).uri_aliases, entries);
    }
}
