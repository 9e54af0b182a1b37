//! The daemon's side of DIGEST-MD5, written out from RFC 2831 for the tests alone.
#![allow(dead_code, reason = "each test target uses its own part")]

use bytes::{Buf, BufMut, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use virtwire::proto::connection::{SecurityError, SecurityLayer};

/// What a daemon says to begin with.
pub(crate) const CHALLENGE: &str = "nonce=\"from the daemon\",realm=\"lab\",qop=\"auth-conf\",cipher=\"3des,rc4\",\
                                    maxbuf=4096,charset=utf-8,algorithm=md5-sess";

/// Checks the client's answer, for fred whose password is secret. Gives the daemon's proof and its layer.
pub(crate) fn accept(answer: &[u8]) -> (String, Layer) {
    let answer = std::str::from_utf8(answer).unwrap();
    let field = |name: &str| {
        let found = answer.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name} in {answer}")).trim_matches('"')
    };
    assert_eq!((field("username"), field("realm"), field("nonce")), ("fred", "lab", "from the daemon"));
    assert_eq!((field("qop"), field("cipher"), field("nc")), ("auth-conf", "rc4", "00000001"));
    let (cnonce, uri) = (field("cnonce"), field("digest-uri"));
    assert_eq!(uri, "libvirt/localhost");
    let mut secret = hash(&[b"fred:lab:secret"]).to_vec();
    secret.extend_from_slice(format!(":from the daemon:{cnonce}").as_bytes());
    let secret = hash(&[&secret]);
    let response = |method: &str| {
        let what = hex(&hash(&[format!("{method}:{uri}:00000000000000000000000000000000").as_bytes()]));
        hex(&hash(&[
            format!("{}:from the daemon:00000001:{cnonce}:auth-conf:{what}", hex(&secret)).as_bytes()
        ]))
    };
    assert_eq!(field("response"), response("AUTHENTICATE"));
    let key = |name: &str| hash(&[&secret, name.as_bytes()]);
    let layer = Layer {
        in_key: key("Digest session key to client-to-server signing key magic constant"),
        in_cipher: Rc4::new(&key("Digest H(A1) to client-to-server sealing key magic constant")),
        in_number: 0,
        out_key: key("Digest session key to server-to-client signing key magic constant"),
        out_cipher: Rc4::new(&key("Digest H(A1) to server-to-client sealing key magic constant")),
        out_number: 0,
        forge: false,
    };
    (format!("rspauth={}", response("")), layer)
}

pub(crate) struct Layer {
    in_key: [u8; 16],
    in_cipher: Rc4,
    in_number: u32,
    out_key: [u8; 16],
    out_cipher: Rc4,
    out_number: u32,
    /// Whether what goes out carries wrong MACs.
    pub(crate) forge: bool,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Layer")
    }
}

impl SecurityLayer for Layer {
    fn wrap(&mut self, plain: &[u8], sealed: &mut BytesMut) -> Result<(), SecurityError> {
        // Small, so that packets of the protocol come in pieces.
        for part in plain.chunks(37) {
            let mut body = [part, &mac(&self.out_key, self.out_number, part)].concat();
            self.out_cipher.apply(&mut body);
            body[0] ^= u8::from(self.forge);
            sealed.put_u32(body.len() as u32 + 6);
            sealed.extend_from_slice(&body);
            sealed.put_u16(1);
            sealed.put_u32(self.out_number);
            self.out_number += 1;
        }
        Ok(())
    }

    fn unwrap(&mut self, sealed: &mut BytesMut, plain: &mut BytesMut) -> Result<(), SecurityError> {
        while let Some(length) = sealed.first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            assert!(length <= 4096, "longer than the daemon takes");
            if sealed.len() < 4 + length {
                break;
            }
            sealed.advance(4);
            let mut packet = sealed.split_to(length);
            let mut trailer = packet.split_off(length - 6);
            assert_eq!((trailer.get_u16(), trailer.get_u32()), (1, self.in_number));
            self.in_cipher.apply(&mut packet);
            let (part, sign) = packet.split_at(packet.len() - 10);
            assert_eq!(sign, mac(&self.in_key, self.in_number, part));
            plain.extend_from_slice(part);
            self.in_number += 1;
        }
        Ok(())
    }
}

struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    fn new(key: &[u8]) -> Self {
        let mut state: [u8; 256] = std::array::from_fn(|i| i as u8);
        let mut j = 0_u8;
        for i in 0..256 {
            j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
            state.swap(i, j.into());
        }
        Self { state, i: 0, j: 0 }
    }

    fn apply(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.i = self.i.wrapping_add(1);
            let a = self.state[usize::from(self.i)];
            self.j = self.j.wrapping_add(a);
            let b = self.state[usize::from(self.j)];
            self.state.swap(self.i.into(), self.j.into());
            *byte ^= self.state[usize::from(a.wrapping_add(b))];
        }
    }
}

fn mac(key: &[u8; 16], number: u32, part: &[u8]) -> [u8; 10] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).unwrap();
    mac.update(&number.to_be_bytes());
    mac.update(part);
    mac.finalize().into_bytes()[..10].try_into().unwrap()
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    Md5::digest(parts.concat()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
