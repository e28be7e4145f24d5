import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import Testing

/// Short vectors, retyped from the standards.
@Suite("Vectors of the standards")
struct StandardVectorTests {
  @Test("SHA-256: the examples of FIPS 180-4 (NIST, Examples with Intermediate Values)")
  func sha256Examples() {
    let examples: [([UInt8], String)] = [
      ([], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      (Array("abc".utf8), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      (
        [UInt8](repeating: 0x61, count: 1_000_000),
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
      ),
    ]
    for (message, digest) in examples {
      #expect(sha256(message) == digest)
      #expect(sha256(message + [0]) != digest)
    }
  }

  @Test("HMAC-SHA-512: RFC 4231 §4.2, §4.3 and §4.7 (a key longer than a block)")
  func hmacExamples() {
    let examples: [(key: [UInt8], message: [UInt8], mac: String)] = [
      (
        [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
          + "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
      ),
      (
        Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
          + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
      ),
      (
        [UInt8](repeating: 0xaa, count: 131),
        Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
          + "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"
      ),
    ]
    for (key, message, mac) in examples {
      #expect(hmac(key: key, message).hex == mac)
      #expect(hmac(key: key.flipping(bit: 0), message).hex != mac)
      #expect(hmac(key: key, message.flipping(bit: 0)).hex != mac)
    }
  }

  @Test(
    "AES-256-GCM: test cases 13 to 16 of McGrew and Viega, The Galois/Counter Mode of Operation, appendix B")
  func gcmExamples() throws {
    let key = [UInt8](hex: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
    let nonce = [UInt8](hex: "cafebabefacedbaddecaf888")
    let plaintext = [UInt8](
      hex: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255")
    let ciphertext =
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
    let zeroKey = [UInt8](repeating: 0, count: 32)
    let zeroNonce = [UInt8](repeating: 0, count: 12)
    let associated = [UInt8](hex: "feedfacedeadbeeffeedfacedeadbeefabaddad2")
    let cases: [(AEADMessage, String)] = [
      (.init(key: zeroKey, nonce: zeroNonce), "530f8afbc74536b9a963b4f1c4cb738b"),
      (
        .init(key: zeroKey, nonce: zeroNonce, plaintext: [UInt8](repeating: 0, count: 16)),
        "cea7403d4d606b6e074ec5d3baf39d18" + "d0d1c8a799996bf0265b98b5d48ab919"
      ),
      (.init(key: key, nonce: nonce, plaintext: plaintext), ciphertext + "b094dac5d93471bdec1a502270e3cc6c"),
      (
        .init(key: key, nonce: nonce, associated: associated, plaintext: Array(plaintext.prefix(60))),
        ciphertext.prefix(120) + "76fc6ece0f4e1768cddf8853bb2d551b"
      ),
    ]
    for (message, sealed) in cases { try expect(.aes256GCM, message, sealed: sealed) }
  }

  @Test("XChaCha20-Poly1305: draft-irtf-cfrg-xchacha-03 §A.3.1")
  func xchachaExample() throws {
    let text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
    let message = AEADMessage(
      key: Array(0x80...0x9f), nonce: Array(0x40...0x57),
      associated: [UInt8](hex: "50515253c0c1c2c3c4c5c6c7"),
      plaintext: Array(text.utf8))
    try expect(
      .xchacha20Poly1305, message,
      sealed: "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
        + "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
        + "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
        + "21f9664c97637da9768812f615c68b13b52e" + "c0875924c1c7987947deafd8780acf49")
  }

  @Test("Ed25519: RFC 8032 §7.1, tests 1 to 3")
  func ed25519Examples() {
    let tests: [(seed: String, publicKey: String, message: String, signature: String)] = [
      (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
      ),
      (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
      ),
      (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
      ),
    ]
    for test in tests {
      let (seed, message) = ([UInt8](hex: test.seed), [UInt8](hex: test.message))
      let (publicKey, expected) = ([UInt8](hex: test.publicKey), [UInt8](hex: test.signature))
      #expect(seed.withRawSpan { Ed25519.publicKey(of: $0) } == publicKey)
      #expect(signature(of: message, seed: seed) == expected)
      #expect(isValid(expected, of: message, publicKey: publicKey))
      #expect(!isValid(expected, of: message + [0], publicKey: publicKey))
      for bit in 0..<512 { #expect(!isValid(expected.flipping(bit: bit), of: message, publicKey: publicKey)) }
      for bit in 0..<256 { #expect(!isValid(expected, of: message, publicKey: publicKey.flipping(bit: bit))) }
      #expect(!isValid(Array(expected.dropLast()), of: message, publicKey: publicKey))
      #expect(!isValid(expected + [0], of: message, publicKey: publicKey))
      #expect(!isValid(expected, of: message, publicKey: Array(publicKey.dropLast())))
      #expect(!isValid([], of: message, publicKey: []))
    }
  }

  /// Made with the reference implementation of RFC 9106 (PyPI argon2-cffi 25, Type.ID, version 19, one
  /// lane): RFC 9106 §5.3 has a secret and associated data, which libsodium does not take.
  @Test("Argon2id: vectors of the reference implementation")
  func argon2idExamples() throws {
    let examples: [(passphrase: [UInt8], salt: [UInt8], memoryKiB: UInt32, passes: UInt32, key: String)] = [
      (
        Array("password".utf8), Array(0..<16), 8192, 3,
        "c73cd0839f0457959748cb78a6de6277bfd15defe79d4bb4864890fe68b3e048"
      ),
      (
        Array("correct horse battery staple".utf8), Array("chatelaine-salt!".utf8), 16_384, 2,
        "c284f0140d7a7a1fcb439782a66e9705b4b015d63fbb391472d79682603ab35a"
      ),
      (
        [0, 255, 10, 13, 0x41], [UInt8](repeating: 255, count: 16), 8192, 1,
        "11c8883f008b86e496c0476b445c747596ff4764e89ef06a2a7e5c2be56e4727"
      ),
    ]
    func derived(_ passphrase: [UInt8], _ salt: [UInt8], _ memoryKiB: UInt32, _ passes: UInt32) throws
      -> String
    {
      let secret = SecretBytes(copying: passphrase)
      let key = try secret.withBytes { passphrase throws(Argon2id.OutOfMemory) in
        try Argon2id.deriveKey(passphrase: passphrase, salt: salt.span, memoryKiB: memoryKiB, passes: passes)
      }
      return key.copied().hex
    }
    for example in examples {
      let (passphrase, salt) = (example.passphrase, example.salt)
      #expect(try derived(passphrase, salt, example.memoryKiB, example.passes) == example.key)
      #expect(
        try derived(passphrase.flipping(bit: 0), salt, example.memoryKiB, example.passes) != example.key)
      #expect(
        try derived(passphrase, salt.flipping(bit: 127), example.memoryKiB, example.passes) != example.key)
      #expect(try derived(passphrase, salt, example.memoryKiB + 1024, example.passes) != example.key)
      #expect(try derived(passphrase, salt, example.memoryKiB, example.passes + 1) != example.key)
    }
  }

  /// Seals to exactly `sealed`, opens, and refuses every changed bit.
  private func expect(_ cipher: Cipher, _ message: AEADMessage, sealed: String) throws {
    let aes = try AES256GCM()
    let bytes = [UInt8](hex: sealed)
    #expect(cipher.seal(message, with: aes).hex == sealed)
    #expect(cipher.open(bytes, as: message, with: aes) == message.plaintext)
    for bit in 0..<bytes.count * 8 {
      #expect(cipher.open(bytes.flipping(bit: bit), as: message, with: aes) == nil, "bit \(bit)")
    }
  }
}
