import ChatelaineTestSupport

/// The shapes of C2SP Wycheproof's files that we read (testvectors_v1).
struct WycheproofFile<Group: Decodable & Sendable>: Decodable, Sendable {
  let testGroups: [Group]
}

struct WycheproofAEAD: Decodable, Sendable {
  let keySize: Int
  let ivSize: Int
  let tagSize: Int
  let tests: [Test]

  struct Test: Decodable, Sendable {
    let tcId: Int
    let comment: String
    let key: String
    let iv: String
    let aad: String
    let msg: String
    let ct: String
    let tag: String
    let result: String

    var message: AEADMessage {
      AEADMessage(
        key: .init(hex: key), nonce: .init(hex: iv), associated: .init(hex: aad), plaintext: .init(hex: msg))
    }
  }
}

struct WycheproofHKDF: Decodable, Sendable {
  let tests: [Test]

  struct Test: Decodable, Sendable {
    let tcId: Int
    let ikm: String
    let salt: String
    let info: String
    let size: Int
    let okm: String
    let result: String
  }
}

struct WycheproofSignature: Decodable, Sendable {
  let publicKey: PublicKey
  let tests: [Test]

  struct PublicKey: Decodable, Sendable { let pk: String }

  struct Test: Decodable, Sendable {
    let tcId: Int
    let comment: String
    let msg: String
    let sig: String
    let result: String
  }
}
