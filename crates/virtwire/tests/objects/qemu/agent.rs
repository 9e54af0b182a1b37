//! What a guest's agent does, played by the test.

use super::{Console, Host, LIMIT, until, until_state};
use crate::coverage::{Log, run};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire::proto::typed_params::TypedParamsExt;
use virtwire::{AgentTimeout, CpuSet, Domain};
use virtwire_testbed::{Failed, SLEEP};

/// What the agent answers to the commands that it knows, `ID` standing for the number in the question.
const ANSWERS: &[(&str, &str)] = &[
    ("guest-sync", "ID"),
    ("guest-ping", "{}"),
    ("guest-fsfreeze-status", "\"thawed\""),
    ("guest-fsfreeze-freeze", "2"),
    ("guest-fsfreeze-freeze-list", "1"),
    ("guest-fsfreeze-thaw", "2"),
    ("guest-fstrim", "{\"paths\":[]}"),
    ("guest-get-time", "1700000000000000007"),
    ("guest-set-time", "{}"),
    ("guest-set-user-password", "{}"),
    ("guest-get-host-name", "{\"host-name\":\"played\"}"),
    ("guest-get-timezone", "{\"zone\":\"UTC\",\"offset\":0}"),
    ("guest-get-users", "[{\"user\":\"root\",\"login-time\":1.5}]"),
    ("guest-get-osinfo", "{\"id\":\"virtwire\",\"name\":\"one sector\"}"),
    ("guest-get-load", "{\"load1m\":0.5,\"load5m\":0.25,\"load15m\":0.125}"),
    ("guest-get-devices", "[]"),
    ("guest-get-disks", "[{\"name\":\"/dev/vda\",\"partition\":false}]"),
    (
        "guest-get-vcpus",
        "[{\"logical-id\":0,\"online\":true,\"can-offline\":false},\
          {\"logical-id\":1,\"online\":true,\"can-offline\":true}]",
    ),
    ("guest-set-vcpus", "1"),
    ("guest-ssh-get-authorized-keys", "{\"keys\":[\"ssh-ed25519 AAAA one\",\"ssh-ed25519 BBBB two\"]}"),
    ("guest-ssh-add-authorized-keys", "{}"),
    ("guest-ssh-remove-authorized-keys", "{}"),
    (
        "guest-network-get-interfaces",
        "[{\"name\":\"eth0\",\"hardware-address\":\"52:54:00:00:00:77\",\"ip-addresses\":\
          [{\"ip-address\":\"10.77.0.77\",\"ip-address-type\":\"ipv4\",\"prefix\":24}]}]",
    ),
    (
        "guest-get-fsinfo",
        "[{\"name\":\"vda1\",\"mountpoint\":\"/\",\"type\":\"ext4\",\"used-bytes\":100,\"total-bytes\":1000,\"disk\":[]}]",
    ),
];

pub(super) async fn run(log: &Log, host: &Host) -> Result<(), Failed> {
    let agent = Agent::listen(&host.path("agent"))?;
    let devices = format!(
        "<channel type='unix'><source mode='connect' path='{}'/>\
         <target type='virtio' name='org.qemu.guest_agent.0'/>\
         <address type='virtio-serial' controller='0' bus='0' port='1'/></channel>",
        host.text("agent")
    );
    let xml = host.guest("agent", "raw", &devices)?;
    let guest = host.connection.domain_create_xml(xml, DomainCreateFlags::empty()).await?;
    let mut console = Console::open(&guest).await?;
    // The guest opens the port; then libvirt comes.
    until("the agent's port is open", async || {
        let xml = guest.xml_desc(DomainXmlFlags::empty()).await?.to_string();
        Ok(xml.contains("name='org.qemu.guest_agent.0' state='connected'").then_some(()))
    })
    .await?;
    commands(log, &guest, &agent).await?;
    file_systems(log, &guest, &agent).await?;
    information(log, &guest).await?;
    processors(log, &guest).await?;
    keys(log, &guest, &agent).await?;

    // Sleep is the agent's to do, and done when the guest sleeps.
    let sleep = run_sleep(log, &guest);
    let act = async {
        agent.has_got("guest-suspend-ram").await?;
        console.stream.send(vec![SLEEP]).await?;
        Ok::<_, Failed>(())
    };
    let (slept, acted) = tokio::join!(sleep, act);
    acted?;
    slept?;
    until_state(&guest, DomainState::PMSUSPENDED).await?;
    guest.pm_wakeup().await?;
    console.expect(virtwire_testbed::GREETING).await?;

    // An agent that says no: its words arrive.
    until("the agent is there again", async || {
        let answer = guest.qemu_agent_command("{\"execute\":\"guest-ping\"}", Duration::from_secs(5)).await;
        Ok(answer.is_ok().then_some(()))
    })
    .await?;
    let error = guest
        .qemu_agent_command("{\"execute\":\"guest-nonsense\"}", AgentTimeout::Default)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not to be had"), "{error}");
    guest.destroy(DomainDestroyFlags::empty()).await?;
    Ok(())
}

async fn run_sleep(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    Ok(run!(log, guest.pm_suspend_for_duration(NodeSuspendTarget::MEM, Duration::ZERO))?)
}

async fn commands(log: &Log, guest: &Domain, agent: &Agent) -> Result<(), Failed> {
    let guest = guest.clone();
    run!(log, guest.agent_set_response_timeout(Duration::from_secs(30)))?;
    let answer =
        run!(log, guest.qemu_agent_command("{\"execute\":\"guest-ping\"}", Duration::from_secs(10)))?;
    assert_eq!(answer, "{\"return\":{}}");
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 7);
    assert_eq!(run!(log, guest.time())?, time);
    run!(log, guest.set_time(time, DomainSetTimeFlags::empty()))?;
    agent.has_got("1700000000000000007").await?;
    let flags = DomainSetUserPasswordFlags::empty();
    run!(log, guest.set_user_password("root", "secret", flags))?;
    agent.has_got("\"username\":\"root\"").await
}

async fn file_systems(log: &Log, guest: &Domain, agent: &Agent) -> Result<(), Failed> {
    let guest = guest.clone();
    assert_eq!(run!(log, guest.fs_freeze(["/"]))?, 1);
    agent.has_got("\"mountpoints\":[\"/\"]").await?;
    assert_eq!(run!(log, guest.fs_thaw(std::iter::empty::<&str>()))?, 2);
    run!(log, guest.fs_trim(None, 4096))?;
    agent.has_got("\"minimum\":4096").await?;
    let systems = run!(log, guest.fs_info())?;
    assert_eq!(systems.len(), 1);
    assert_eq!((&*systems[0].mountpoint.to_string(), &*systems[0].fstype.to_string()), ("/", "ext4"));
    Ok(())
}

async fn information(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    assert_eq!(run!(log, guest.hostname(DomainGetHostnameFlags::AGENT))?, "played");
    let interfaces = run!(log, guest.interface_addresses(DomainInterfaceAddressesSource::AGENT))?;
    assert_eq!((interfaces.len(), &*interfaces[0].name.to_string()), (1, "eth0"), "{interfaces:?}");
    assert_eq!(interfaces[0].addresses[0].address, "10.77.0.77");
    let info = run!(log, guest.guest_info(DomainGuestInfoTypes::empty()))?;
    assert_eq!(info.hostname, Some("played".into()), "{info:?}");
    assert_eq!(info.users.len(), 1, "{info:?}");
    assert_eq!(info.os.id, Some("virtwire".into()), "{info:?}");
    Ok(())
}

async fn processors(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let vcpus = run!(log, guest.guest_vcpus())?;
    assert_eq!(vcpus.get_as::<&str>("vcpus")?, Some("0-1"), "{vcpus:?}");
    assert_eq!(vcpus.get_as::<&str>("offlinable")?, Some("1"), "{vcpus:?}");
    run!(log, guest.set_guest_vcpus(&CpuSet::from_iter([1]), false))?;
    Ok(())
}

async fn keys(log: &Log, guest: &Domain, agent: &Agent) -> Result<(), Failed> {
    let guest = guest.clone();
    let keys = run!(log, guest.authorized_ssh_keys("root"))?;
    assert_eq!(keys, ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]);
    let append = DomainAuthorizedSshKeysSetFlags::APPEND;
    run!(log, guest.authorized_ssh_keys_set("root", ["ssh-ed25519 CCCC three"], append))?;
    agent.has_got("ssh-ed25519 CCCC three").await
}

/// An agent: what connects to its socket is QEMU, which passes on what the guest says (nothing), and libvirt.
struct Agent {
    questions: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Agent {
    fn listen(path: &Path) -> Result<Self, Failed> {
        let listener = UnixListener::bind(path)?;
        let questions = Arc::new(Mutex::new(Vec::new()));
        let asked = questions.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, asked.clone()));
            }
        });
        Ok(Self { questions, task })
    }

    /// Waits until it has been asked something with `words` in it.
    async fn has_got(&self, words: &str) -> Result<(), Failed> {
        let what = format!("the agent is asked {words:?}");
        until(&what, async || {
            Ok(self.questions.lock().unwrap().iter().any(|of| of.contains(words)).then_some(()))
        })
        .await
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(socket: UnixStream, asked: Arc<Mutex<Vec<String>>>) {
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(1..)) {
        let question = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
        let Some(command) = text_of(&question, "\"execute\":\"") else { continue };
        let reply = match ANSWERS.iter().find(|(name, _)| *name == command) {
            // The guest sleeps instead of answering.
            None if command == "guest-suspend-ram" => String::new(),
            Some((_, answer)) => {
                let id: String = question
                    .rsplit_once("\"id\":")
                    .map_or("0", |(_, id)| id)
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                format!("{{\"return\":{}}}\n", answer.replace("ID", &id))
            }
            None => "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"not to be had\"}}\n".to_owned(),
        };
        asked.lock().unwrap().push(question);
        if tokio::time::timeout(LIMIT, writer.write_all(reply.as_bytes())).await.is_err() {
            return;
        }
    }
}

/// The text that begins after `key` and ends with quotation marks.
fn text_of(json: &str, key: &str) -> Option<String> {
    Some(json.split_once(key)?.1.split('"').next()?.to_owned())
}
