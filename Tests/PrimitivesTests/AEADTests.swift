import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import Testing

@Suite("AEADs")
struct AEADTests {
  @Test(
    "Messages of 0 to 4,096 bytes come back, whatever their key, nonce and associated data",
    arguments: Cipher.allCases)
  func roundTrip(cipher: Cipher) throws {
    let aes = try AES256GCM()
    var random = SeededRandom(announcing: "round trip \(cipher.rawValue)")
    for round in 0..<2000 {
      let size = round < 64 ? round : Int.random(in: 1...4096, using: &random)
      let message = message(for: cipher, size: size, using: &random)
      let sealed = cipher.seal(message, with: aes)
      #expect(sealed.count == size + 16)
      #expect(
        cipher.open(sealed, as: message, with: aes)?.isSame(as: message.plaintext) == true, "round \(round)")
      let bit = Int.random(in: 0..<sealed.count * 8, using: &random)
      #expect(
        cipher.open(sealed.flipping(bit: bit), as: message, with: aes) == nil, "round \(round), bit \(bit)")
    }
  }

  @Test(
    "The ciphertext is not the plaintext, and another key or nonce gives another", arguments: Cipher.allCases)
  func encrypts(cipher: Cipher) throws {
    let aes = try AES256GCM()
    var random = SeededRandom(announcing: "encrypts \(cipher.rawValue)")
    let message = message(for: cipher, size: 64, using: &random)
    var (otherKey, otherNonce) = (message, message)
    otherKey.key = message.key.flipping(bit: 0)
    otherNonce.nonce = message.nonce.flipping(bit: cipher.nonceByteCount * 8 - 1)
    let bodies = [message, otherKey, otherNonce].map { Array(cipher.seal($0, with: aes).prefix(64)) }
    #expect(Set(bodies + [message.plaintext]).count == 4)
  }

  @Test("A message cut anywhere is refused, and the output stays as it was", arguments: Cipher.allCases)
  func cutMessages(cipher: Cipher) throws {
    let aes = try AES256GCM()
    var random = SeededRandom(announcing: "cuts \(cipher.rawValue)")
    for size in [0, 1, 15, 16, 17, 100] {
      let message = message(for: cipher, size: size, using: &random)
      let sealed = cipher.seal(message, with: aes)
      // `Cipher.open` checks that a refusal leaves no byte in the output.
      for count in 0..<sealed.count {
        #expect(
          cipher.open(Array(sealed.prefix(count)), as: message, with: aes) == nil, "\(size) cut to \(count)")
      }
      #expect(cipher.open(sealed + [0], as: message, with: aes) == nil)
      #expect(cipher.open(sealed, as: message, with: aes) == message.plaintext, "the control")
    }
  }

  /// Only AES-256-GCM decrypts before it compares the tag.
  @Test("What a refused message decrypted to is erased from the output's free part")
  func refusedPlaintextIsErased() throws {
    let aes = try AES256GCM()
    var random = SeededRandom(announcing: "refused plaintext")
    let message = message(for: .aes256GCM, size: 200, using: &random)
    let sealed = Cipher.aes256GCM.seal(message, with: aes)
    func rest(after sealed: [UInt8], opens: Bool) -> [UInt8] {
      let key = SecretBytes(copying: message.key)
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 200, alignment: 16)
      defer { unsafe buffer.deallocate() }
      unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0xbb)
      var output = unsafe OutputRawSpan(buffer: buffer, initializedCount: 0)
      let opened = key.withBytes {
        aes.open(
          sealed.span, key: $0, nonce: message.nonce.span, authenticating: message.associated.span,
          appendingTo: &output)
      }
      #expect(opened == opens)
      _ = unsafe output.finalize(for: buffer)
      return unsafe Array(buffer)
    }
    #expect(rest(after: sealed, opens: true) == message.plaintext)
    let refused = rest(after: sealed.flipping(bit: sealed.count * 8 - 1), opens: false)
    #expect(refused == [UInt8](repeating: 0, count: 200))
  }

  @Test("scrub() between, before and after messages changes nothing of what is sealed or opened")
  func scrubbing() throws {
    let (scrubbed, plain) = (try AES256GCM(), try AES256GCM())
    var random = SeededRandom(announcing: "scrubbing")
    scrubbed.scrub()
    for size in [0, 1, 16, 333, 4096] {
      let message = message(for: .aes256GCM, size: size, using: &random)
      let sealed = Cipher.aes256GCM.seal(message, with: scrubbed)
      #expect(sealed == Cipher.aes256GCM.seal(message, with: plain))
      scrubbed.scrub()
      scrubbed.scrub()
      #expect(Cipher.aes256GCM.open(sealed, as: message, with: scrubbed) == message.plaintext)
      #expect(Cipher.aes256GCM.open(sealed.flipping(bit: 3), as: message, with: scrubbed) == nil)
      scrubbed.scrub()
      #expect(Cipher.aes256GCM.open(sealed, as: message, with: scrubbed) == message.plaintext)
    }
  }

  @Test("Keys and nonces of a wrong length trap", arguments: Cipher.allCases)
  func wrongLengths(cipher: Cipher) async {
    await #expect(processExitsWith: .failure) { try sealOnce(.aes256GCM, key: 16, nonce: 12) }
    await #expect(processExitsWith: .failure) { try sealOnce(.aes256GCM, key: 32, nonce: 16) }
    await #expect(processExitsWith: .failure) { try sealOnce(.xchacha20Poly1305, key: 31, nonce: 24) }
    await #expect(processExitsWith: .failure) { try sealOnce(.xchacha20Poly1305, key: 32, nonce: 12) }
    await #expect(processExitsWith: .success) {
      try sealOnce(.aes256GCM, key: 32, nonce: 12)
      try sealOnce(.xchacha20Poly1305, key: 32, nonce: 24)
    }
  }

  private func message(for cipher: Cipher, size: Int, using random: inout SeededRandom) -> AEADMessage {
    AEADMessage(
      key: random.bytes(32), nonce: random.bytes(cipher.nonceByteCount),
      associated: random.bytes(Int.random(in: 0...64, using: &random)), plaintext: random.bytes(size))
  }
}

private func sealOnce(_ cipher: Cipher, key: Int, nonce: Int) throws {
  let message = AEADMessage(
    key: .init(repeating: 1, count: key), nonce: .init(repeating: 1, count: nonce), plaintext: [1, 2, 3])
  _ = cipher.seal(message, with: try AES256GCM())
}
