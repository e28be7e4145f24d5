import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

struct DerivationVectors: Decodable {
  let vectors: [Vector]

  struct Vector: Decodable {
    let name: String
    let key: String
    let label: String
    let info: String
    let output: String
  }
}

@Suite("Derivation")
struct DerivationTests {
  // MUST: DERIV-1
  @Test("D gives the bytes of every vector, and other bytes when a bit of key or info changes")
  func vectors() throws {
    let vectors = try OwnVectors.load("derivation.json", as: DerivationVectors.self).vectors
    for vector in vectors {
      let label = try #require(DerivationLabel(rawValue: vector.label), "\(vector.name)")
      let (key, info) = ([UInt8](hex: vector.key), [UInt8](hex: vector.info))
      let derivation = DerivationKey(copying: key)
      let output = derivation.derived(label, info)
      #expect(output.hex == vector.output, "\(vector.name)")
      let other = DerivationKey(copying: key.flipping(bit: 255)).derived(label, info)
      #expect(other.hex != vector.output)
      for cut in [0, info.count / 2, info.count] {
        let inTwo = derivation.derived(label, Array(info.prefix(cut)), Array(info.dropFirst(cut)))
        #expect(inTwo == output, "\(vector.name), cut at \(cut)")
      }
      let longer = derivation.derived(label, info + [1])
      #expect(longer != output)
      if !info.isEmpty {
        let changed = derivation.derived(label, info.flipping(bit: 0))
        #expect(changed != output)
      }
    }
    print("derivation.json: \(vectors.count) vectors")
    #expect(vectors.count > 0)
  }

  // MUST: DERIV-4
  @Test("The labels are those of the page, and every one has a vector")
  func labels() throws {
    let labels = Set(DerivationLabel.allCases.map(\.rawValue))
    #expect(
      labels == [
        "kcv", "wrap", "row", "idempotency", "audit-context", "envelope", "stream", "mac", "index", "seal",
      ])
    let vectors = try OwnVectors.load("derivation.json", as: DerivationVectors.self).vectors
    #expect(Set(vectors.map(\.label)) == labels)
  }

  // MUST: DERIV-1
  @Test("D is HMAC-SHA-512 of prefix, label, a zero, info and a final one")
  func byHand() {
    let key = [UInt8](repeating: 0x42, count: 32)
    let derivation = DerivationKey(copying: key)
    for label in DerivationLabel.allCases {
      let prefix = Array("chatelaine/v1/\(label.rawValue)".utf8) + [0]
      let output = derivation.derived(label, [1, 2], [3])
      #expect(output == hmac(key: key, prefix, [1, 2, 3], [1]))
      #expect(output != hmac(key: key, prefix, [1, 2, 3], []), "the control: without the final byte")
    }
  }

  @Test("Every label gives other bytes under one key and info, in both halves")
  func labelSeparation() {
    let derivation = DerivationKey(copying: [UInt8](repeating: 7, count: 32))
    let outputs = DerivationLabel.allCases.map { derivation.derived($0, Array("info".utf8)) }
    #expect(Set(outputs.map { Array($0.prefix(32)) }).count == DerivationLabel.allCases.count)
    #expect(Set(outputs.map { Array($0.suffix(32)) }).count == DerivationLabel.allCases.count)
    for output in outputs { #expect(output.prefix(32) != output.suffix(32)) }
  }

  @Test("A label and info cannot be shifted into each other: mac with info x is not ma with info cx")
  func labelEnds() {
    let derivation = DerivationKey(copying: [UInt8](repeating: 7, count: 32))
    let row = derivation.derived(.row, Array("x".utf8))
    let shifted = hmac(
      key: [UInt8](repeating: 7, count: 32), Array("chatelaine/v1/ro".utf8) + [0], Array("wx".utf8), [1])
    #expect(row != shifted)
  }

  @Test("A derived key is the first half of D, as a key of its own")
  func derivedKeys() {
    let root = DerivationKey(copying: Array(0..<32))
    let child = root.deriveKey(.auditContext, [5, 6].span)
    let byHand = DerivationKey(copying: Array(root.derived(.auditContext, [5, 6]).prefix(32)))
    let (a, b) = (child.derived(.row, [1]), byHand.derived(.row, [1]))
    #expect(a == b)
    let grandparent = root.derived(.row, [1])
    #expect(a != grandparent)
  }

  @Test("A key check value is the first half of D")
  func publicValues() {
    let key = DerivationKey(copying: Array(0..<32))
    let value = key.derivePublicValue(.keyCheckValue, [1, 2, 3].span)
    let whole = key.derived(.keyCheckValue, [1, 2, 3])
    #expect(value.bytes == Array(whole.prefix(32)))
  }

  @Test("A row's MAC is the first half of HMAC-SHA-512 over both parts")
  func rowMACs() {
    let bytes = [UInt8](0..<32)
    let key = DerivationKey(copying: bytes)
    let mac = key.authenticate([1, 2].span, [3].span)
    #expect(mac.bytes == Array(hmac(key: bytes, [1, 2, 3]).prefix(32)))
  }

  @Test("An HMAC key longer than a block is hashed first, one of a block's length is not")
  func longKeys() {
    for count in [129, 131, 200, 1000] {
      let key = [UInt8](repeating: 0xaa, count: count)
      #expect(hmac(key: key, [1]) != hmac(key: Array(key.prefix(128)), [1]))
    }
    // RFC 2104 §2: shorter keys are filled up with zeros, so these two are one key.
    #expect(hmac(key: [1, 2, 3], [9]) == hmac(key: [1, 2, 3] + [UInt8](repeating: 0, count: 125), [9]))
    #expect(hmac(key: [1, 2, 3], [9]) != hmac(key: [1, 2, 3] + [UInt8](repeating: 0, count: 126), [9]))
  }

  @Test("A MAC of parts is the MAC of the whole, and the prepared key can be used again")
  func parts() {
    let key = [UInt8](repeating: 3, count: 32)
    let whole = hmac(key: key, Array(0..<100))
    for (a, b, c) in [(0, 0, 0), (10, 20, 30), (100, 100, 100), (0, 50, 100), (1, 64, 65)] {
      let bytes = [UInt8](0..<100)
      #expect(
        hmac(key: key, Array(bytes[0..<a]), Array(bytes[a..<b]), Array(bytes[b..<c]), Array(bytes[c...]))
          == whole)
    }
    let derivation = DerivationKey(copying: key)
    let first = derivation.derived(.row, [1])
    _ = derivation.derived(.row, [2])
    let again = derivation.derived(.row, [1])
    #expect(first == again)
  }
}
