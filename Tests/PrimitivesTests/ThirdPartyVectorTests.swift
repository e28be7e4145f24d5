import ChatelainePrimitives
import ChatelaineTestSupport
import Testing

/// Every vector of others for every primitive that we call. Each test says how many it ran.
@Suite("Vectors of others", .enabled(if: ThirdPartyVectors.areFound, "third-party vectors not found"))
struct ThirdPartyVectorTests {
  @Test("AES-256-GCM: Wycheproof, 256-bit keys, 96-bit nonces, 128-bit tags")
  func wycheproofGCM() throws {
    let ran = try wycheproof(.aes256GCM, "wycheproof/aes_gcm_test.json")
    #expect(ran == 66)
  }

  @Test("XChaCha20-Poly1305: Wycheproof, 192-bit nonces")
  func wycheproofXChaCha() throws {
    let ran = try wycheproof(.xchacha20Poly1305, "wycheproof/xchacha20_poly1305_test.json")
    #expect(ran == 306)
  }

  @Test("AES-256-GCM: NIST CAVP decryption, the FAIL cases included")
  func cavpDecrypt() throws {
    let aes = try AES256GCM()
    let blocks = try cavp("nist-cavp/gcmDecrypt256.rsp")
    var (opened, refused) = (0, 0)
    for block in blocks {
      let message = try message(of: block)
      let sealed = try #require(block.bytes("CT")) + #require(block.bytes("Tag"))
      let mustFail = block.words.contains("FAIL")
      #expect(Cipher.aes256GCM.open(sealed, as: message, with: aes) == (mustFail ? nil : message.plaintext))
      if mustFail {
        refused += 1
      } else {
        opened += 1
        refuseChanged(.aes256GCM, sealed, as: message, with: aes)
      }
    }
    print("NIST CAVP gcmDecrypt256: \(opened) opened, \(refused) refused")
    #expect(opened > 0 && refused > 0)
    #expect(opened + refused == 375)
  }

  @Test("AES-256-GCM: NIST CAVP encryption")
  func cavpEncrypt() throws {
    let aes = try AES256GCM()
    let blocks = try cavp("nist-cavp/gcmEncryptExtIV256.rsp")
    for block in blocks {
      let message = try message(of: block)
      let sealed = try #require(block.bytes("CT")) + #require(block.bytes("Tag"))
      #expect(Cipher.aes256GCM.seal(message, with: aes) == sealed)
    }
    print("NIST CAVP gcmEncryptExtIV256: \(blocks.count) sealed")
    #expect(blocks.count == 375)
  }

  @Test("HMAC-SHA-512: RFC 4231")
  func rfc4231() throws {
    let blocks = ResponseFile.parse(try ThirdPartyVectors.lines("rfc/rfc-4231-sha512.txt"))
    for block in blocks {
      let (key, message) = (try #require(block.bytes("Key")), try #require(block.bytes("Msg")))
      let mac = try #require(block.bytes("MD"))
      #expect(hmac(key: key, message) == mac)
      #expect(hmac(key: key, message.flipping(bit: 0)) != mac)
      #expect(hmac(key: key.flipping(bit: 0), message) != mac)
    }
    print("RFC 4231 HMAC-SHA-512: \(blocks.count) vectors")
    #expect(blocks.count == 6)
  }

  @Test("HKDF-SHA-512 in one block: Wycheproof")
  func wycheproofHKDF() throws {
    let file = try ThirdPartyVectors.load(
      "wycheproof/hkdf_sha512_test.json", as: WycheproofFile<WycheproofHKDF>.self)
    let all = file.testGroups.flatMap(\.tests)
    // D is one block of HKDF-Expand: longer outputs are no use of ours.
    let usable = all.filter { $0.size <= 64 }
    for test in usable {
      let salt = test.salt.isEmpty ? [UInt8](repeating: 0, count: 64) : [UInt8](hex: test.salt)
      let pseudorandomKey = hmac(key: salt, .init(hex: test.ikm))
      let output = hmac(key: pseudorandomKey, .init(hex: test.info), [1])
      #expect(
        (Array(output.prefix(test.size)).hex == test.okm) == (test.result == "valid"), "tcId \(test.tcId)")
      let other = hmac(key: pseudorandomKey, .init(hex: test.info), [2])
      #expect(Array(other.prefix(test.size)).hex != test.okm, "the control, tcId \(test.tcId)")
    }
    print(
      "Wycheproof HKDF-SHA-512: \(usable.count) run, \(all.count - usable.count) skipped (longer than a block)"
    )
    #expect(usable.count == 72 && all.count == 83)
  }

  @Test("Ed25519: Wycheproof verification")
  func wycheproofEd25519() throws {
    let file = try ThirdPartyVectors.load(
      "wycheproof/ed25519_test.json", as: WycheproofFile<WycheproofSignature>.self)
    var (accepted, refused) = (0, 0)
    for group in file.testGroups {
      let publicKey = [UInt8](hex: group.publicKey.pk)
      for test in group.tests {
        let (message, signature) = ([UInt8](hex: test.msg), [UInt8](hex: test.sig))
        #expect(
          isValid(signature, of: message, publicKey: publicKey) == (test.result == "valid"),
          "tcId \(test.tcId): \(test.comment)")
        if test.result == "valid" {
          accepted += 1
          #expect(!isValid(signature.flipping(bit: 300), of: message, publicKey: publicKey))
        } else {
          refused += 1
        }
      }
    }
    print("Wycheproof Ed25519: \(accepted) accepted, \(refused) refused")
    #expect(accepted == 88 && refused == 63)
  }

  @Test("Ed25519: the authors' signatures")
  func authorsEd25519() throws {
    var ran = 0
    for line in try ThirdPartyVectors.lines("other/ed25519-sign.input") where !line.isEmpty {
      let parts = line.split(separator: ":", omittingEmptySubsequences: false).map {
        [UInt8](hex: String($0))
      }
      let (seed, publicKey, message) = (Array(parts[0].prefix(32)), parts[1], parts[2])
      let expected = Array(parts[3].prefix(64))
      #expect(seed.withRawSpan { Ed25519.publicKey(of: $0) } == publicKey)
      #expect(signature(of: message, seed: seed) == expected)
      #expect(isValid(expected, of: message, publicKey: publicKey))
      #expect(!isValid(expected.flipping(bit: ran * 2), of: message, publicKey: publicKey))
      #expect(signature(of: message, seed: seed.flipping(bit: 0)) != expected)
      ran += 1
    }
    print("ed25519.cr.yp.to: \(ran) signatures")
    #expect(ran == 256)
  }

  /// Runs the groups with our sizes; returns how many vectors that were.
  private func wycheproof(_ cipher: Cipher, _ path: String) throws -> Int {
    let file = try ThirdPartyVectors.load(path, as: WycheproofFile<WycheproofAEAD>.self)
    let aes = try AES256GCM()
    var (valid, invalid) = (0, 0)
    let groups = file.testGroups.filter {
      $0.keySize == 256 && $0.ivSize == cipher.nonceByteCount * 8 && $0.tagSize == 128
    }
    for test in groups.flatMap(\.tests) {
      let message = test.message
      let sealed = [UInt8](hex: test.ct + test.tag)
      if test.result == "valid" {
        #expect(cipher.seal(message, with: aes) == sealed, "tcId \(test.tcId): \(test.comment)")
        #expect(cipher.open(sealed, as: message, with: aes) == message.plaintext, "tcId \(test.tcId)")
        refuseChanged(cipher, sealed, as: message, with: aes)
        valid += 1
      } else {
        #expect(cipher.open(sealed, as: message, with: aes) == nil, "tcId \(test.tcId): \(test.comment)")
        invalid += 1
      }
    }
    let skipped = file.testGroups.flatMap(\.tests).count - valid - invalid
    print(
      "Wycheproof \(cipher.rawValue): \(valid) valid, \(invalid) invalid, \(skipped) skipped (other sizes)")
    #expect(valid > 0 && invalid > 0)
    return valid + invalid
  }

  private func cavp(_ path: String) throws -> [ResponseFile.Block] {
    ResponseFile.parse(try ThirdPartyVectors.lines(path)).filter {
      $0.group["IVlen"] == "96" && $0.group["Taglen"] == "128"
    }
  }

  private func message(of block: ResponseFile.Block) throws -> AEADMessage {
    AEADMessage(
      key: try #require(block.bytes("Key")), nonce: try #require(block.bytes("IV")),
      associated: try #require(block.bytes("AAD")), plaintext: block.bytes("PT") ?? [])
  }

  /// One bit of each part changed: the mutated vector is refused.
  private func refuseChanged(
    _ cipher: Cipher, _ sealed: [UInt8], as message: AEADMessage, with aes: AES256GCM
  ) {
    #expect(cipher.open(sealed.flipping(bit: 0), as: message, with: aes) == nil)
    #expect(cipher.open(sealed.flipping(bit: sealed.count * 8 - 1), as: message, with: aes) == nil)
    var other = message
    other.key = message.key.flipping(bit: 255)
    #expect(cipher.open(sealed, as: other, with: aes) == nil)
    other = message
    other.nonce = message.nonce.flipping(bit: 0)
    #expect(cipher.open(sealed, as: other, with: aes) == nil)
    other = message
    other.associated.append(0)
    #expect(cipher.open(sealed, as: other, with: aes) == nil)
  }
}
