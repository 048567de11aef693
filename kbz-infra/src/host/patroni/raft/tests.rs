//! What three members of pysyncobj 0.3.17 really said, and a conversation with one of them.

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::*;

/// The status of the member that leads, and of one that follows: dictionaries in hex.
const LEADER: &str = "7d710528580700000076657273696f6e71065806000000302e332e3137710758080000007265766973696f6e71\
     08580a000000646570726563617465647109580400000073656c66710a63707973796e636f626a2e6e6f64650a\
     5443504e6f64650a710b2981710c7d710d2858030000005f6964710e580e0000003132372e302e302e313a3431\
     3331710f58110000005f5443504e6f64655f5f616464726573737110680f580e0000005f5443504e6f64655f5f\
     686f7374711158090000003132372e302e302e317112580e0000005f5443504e6f64655f5f706f727471134d23\
     1075625805000000737461746571144b0258060000006c65616465727115680c580a0000006861735f71756f72\
     756d7116885813000000706172746e65725f6e6f6465735f636f756e7471174b025829000000706172746e6572\
     5f6e6f64655f7374617475735f7365727665725f3132372e302e302e313a3431323171184b0258290000007061\
     72746e65725f6e6f64655f7374617475735f7365727665725f3132372e302e302e313a3431313171194b025814\
     000000726561646f6e6c795f6e6f6465735f636f756e74711a4b0058070000006c6f675f6c656e711b4b02580c\
     0000006c6173745f6170706c696564711c4b02580a000000636f6d6d69745f696478711d4b0258090000007261\
     66745f7465726d711e4b0158130000006e6578745f6e6f64655f6964785f636f756e74711f4b0258230000006e\
     6578745f6e6f64655f6964785f7365727665725f3132372e302e302e313a3431323171204b0358230000006e65\
     78745f6e6f64655f6964785f7365727665725f3132372e302e302e313a3431313171214b03580f0000006d6174\
     63685f6964785f636f756e7471224b02581f0000006d617463685f6964785f7365727665725f3132372e302e30\
     2e313a3431323171234b02581f0000006d617463685f6964785f7365727665725f3132372e302e302e313a3431\
     313171244b0258110000006c65616465725f636f6d6d69745f69647871254b025806000000757074696d657126\
     4b01581100000073656c665f636f64655f76657273696f6e71274b005814000000656e61626c65645f636f6465\
     5f76657273696f6e71284b0075";
const FOLLOWER: &str = "7d710528580700000076657273696f6e71065806000000302e332e3137710758080000007265766973696f6e71\
     08580a000000646570726563617465647109580400000073656c66710a63707973796e636f626a2e6e6f64650a\
     5443504e6f64650a710b2981710c7d710d2858030000005f6964710e580e0000003132372e302e302e313a3431\
     3131710f58110000005f5443504e6f64655f5f616464726573737110680f580e0000005f5443504e6f64655f5f\
     686f7374711158090000003132372e302e302e317112580e0000005f5443504e6f64655f5f706f727471134d0f\
     1075625805000000737461746571144b0058060000006c65616465727115680b298171167d711728680e580e00\
     00003132372e302e302e313a34313331711868106818681158090000003132372e302e302e31711968134d2310\
     7562580a0000006861735f71756f72756d711a885813000000706172746e65725f6e6f6465735f636f756e7471\
     1b4b025829000000706172746e65725f6e6f64655f7374617475735f7365727665725f3132372e302e302e313a\
     34313231711c4b025829000000706172746e65725f6e6f64655f7374617475735f7365727665725f3132372e30\
     2e302e313a34313331711d4b025814000000726561646f6e6c795f6e6f6465735f636f756e74711e4b00580700\
     00006c6f675f6c656e711f4b02580c0000006c6173745f6170706c69656471204b02580a000000636f6d6d6974\
     5f69647871214b025809000000726166745f7465726d71224b0158130000006e6578745f6e6f64655f6964785f\
     636f756e7471234b00580f0000006d617463685f6964785f636f756e7471244b0058110000006c65616465725f\
     636f6d6d69745f69647871254b025806000000757074696d6571264b01581100000073656c665f636f64655f76\
     657273696f6e71274b005814000000656e61626c65645f636f64655f76657273696f6e71284b0075";

const PASSWORD: &str = "s3cret";

/// `(nonce, status)` as a member pickles it.
fn pickled(nonce: &[u8], status: &str) -> Vec<u8> {
    let status = hex::decode(status).unwrap();
    [b"\x80\x02", bytes(nonce).as_slice(), &status, b"\x86."].concat()
}

fn read(status: &str) -> Option<RaftReading> {
    let nonce = [7; 32];
    let heap = Heap::read(&pickled(&nonce, status)).unwrap();
    let status = answered(&heap, &nonce).unwrap();
    assert!(answered(&heap, &[8; 32]).is_err());
    reading(&heap, status)
}

fn healthy(partners: [&str; 2]) -> RaftReading {
    RaftReading {
        has_quorum: true,
        leader: Some("127.0.0.1:4131".to_owned()),
        connected: 2,
        partners: partners.map(str::to_owned).into(),
    }
}

#[test]
fn a_status_is_read_as_the_members_write_it() {
    assert_eq!(
        read(LEADER),
        Some(healthy(["127.0.0.1:4111", "127.0.0.1:4121"]))
    );
    assert_eq!(
        read(FOLLOWER),
        Some(healthy(["127.0.0.1:4121", "127.0.0.1:4131"]))
    );
}

#[test]
fn a_partner_whose_name_is_no_address_counts_and_is_not_repeated() {
    let known = hex::encode("127.0.0.1:4121");
    let bent = LEADER.replace(&known, &hex::encode("\x1b[31mred there"));
    let told = read(&bent).unwrap();
    assert_eq!(
        told,
        healthy(["127.0.0.1:4111", "an unreadable address (1)"])
    );
    assert_eq!(told.voters(), 3);
}

/// Python 3 writes bytes as a call that makes them of a text.
#[test]
fn bytes_are_read_as_python_writes_them() {
    let written = b"\x80\x02c_codecs\nencode\nq\0X\x06\0\0\0\0\x01\xc3\xbe\xc3\xbfq\x01X\x06\0\0\0latin1q\x02\x86q\x03Rq\x04.";
    let heap = Heap::read(written).unwrap();
    assert_eq!(heap.get(heap.root()), &Value::Bytes(vec![0, 1, 0xfe, 0xff]));
}

/// A text named again and again must not make more than was sent.
#[test]
fn a_small_message_makes_no_large_one() {
    let text = "x".repeat(1 << 16);
    let mut pickle = b"\x80\x02c_codecs\nencode\nq\0X\0\0\x01\0".to_vec();
    pickle.extend(text.as_bytes());
    pickle.extend(b"q\x01");
    for _ in 0..1000 {
        pickle.extend(b"h\0h\x01\x85R");
    }
    pickle.push(b'.');
    let refused = Heap::read(&pickle).unwrap_err().to_string();
    assert!(refused.contains("more than it holds"), "{refused}");
}

#[test]
fn what_is_cut_short_is_refused_at_every_length() {
    let whole = pickled(&[7; 32], LEADER);
    for length in 0..whole.len() {
        assert!(Heap::read(&whole[..length]).is_err(), "{length}");
    }
}

/// A member that answers with this status, whatever it is asked after the greeting.
async fn member(mut stream: impl AsyncRead + AsyncWrite + Unpin, password: &str, status: &str) {
    let key = Key::of(password);
    let said = receive(&mut stream, &key).await;
    let Value::Bytes(nonce) = said.get(said.root()).clone() else {
        panic!("no nonce: {said:?}");
    };
    let own = [9; 32];
    let greeting = [
        b"\x80\x02".to_vec(),
        bytes(&nonce),
        bytes(&own),
        b"\x86.".to_vec(),
    ];
    send(&mut stream, &key, &greeting.concat()).await;
    let question = receive(&mut stream, &key).await;
    let command = answered(&question, &own).unwrap();
    let command = question.element(command, 0).unwrap();
    assert_eq!(question.get(command), &Value::Text("status".to_owned()));
    send(&mut stream, &key, &pickled(&nonce, status)).await;
}

async fn receive(stream: &mut (impl AsyncRead + Unpin), key: &Key) -> Heap {
    let mut token = vec![0; usize::try_from(stream.read_i32_le().await.unwrap()).unwrap()];
    stream.read_exact(&mut token).await.unwrap();
    let packed = key.open(&token).unwrap();
    Heap::read(&decompress_to_vec_zlib_with_limit(&packed, LARGEST).unwrap()).unwrap()
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), key: &Key, pickled: &[u8]) {
    let token = key.seal(&compress_to_vec_zlib(pickled, PACKED), 1, [3; 16]);
    let length = i32::try_from(token.len()).unwrap();
    stream.write_i32_le(length).await.unwrap();
    stream.write_all(&token).await.unwrap();
}

#[tokio::test]
async fn a_member_is_asked_and_answers() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let key = RaftKey(Key::of(PASSWORD));
    let answer = tokio::join!(
        status(Box::new(ours), &key),
        member(theirs, PASSWORD, FOLLOWER)
    )
    .0;
    let others = ["127.0.0.1:4121", "127.0.0.1:4131"];
    assert_eq!(answer.unwrap(), healthy(others));
}

#[tokio::test]
async fn who_does_not_know_the_password_is_not_believed() {
    let (ours, mut theirs) = tokio::io::duplex(4096);
    let key = RaftKey(Key::of(PASSWORD));
    let forger = async {
        let greeting = pickled(&[0; 32], LEADER);
        send(&mut theirs, &Key::of("another"), &greeting).await;
    };
    let answer = tokio::join!(status(Box::new(ours), &key), forger).0;
    assert!(matches!(answer, Err(RaftError::Forged(_))), "{answer:?}");
}

proptest! {
    #[test]
    fn nothing_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Heap::read(&bytes);
    }

    #[test]
    fn nothing_like_a_status_makes_it_panic(
        place in 0_usize..600,
        byte in any::<u8>(),
    ) {
        let mut bytes = pickled(&[7; 32], LEADER);
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(heap) = Heap::read(&bytes) {
            let _ = answered(&heap, &[7; 32]).map(|status| reading(&heap, status));
        }
    }
}
