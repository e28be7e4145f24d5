import ChatelaineAuditTrail
import ChatelaineEnvelopes
import ChatelainePrimitives
import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

/// 3 tenants × 3 contexts × 3 versions × 2 suites: what was sealed in one place opens in no other.
@Suite struct SwapMatrixTests {
  struct Place: Hashable {
    let tenant: String
    let context: Int
    let version: UInt32
    let suite: Suite
    let key: KeyReference
  }

  struct Sealed {
    let place: Place
    let text: [UInt8]
    let envelope: [UInt8]
    let dataKey: [UInt8]
  }

  let shop: Workshop

  init() throws {
    shop = try Workshop()
    try shop.initialize()
  }

  private static func context(_ number: Int) throws -> EncryptionContext {
    try EncryptionContext(number == 0 ? [] : [.init(key: Array("field".utf8), value: [UInt8(number)])])
  }

  private func fill(_ calls: Calls) throws -> [Sealed] {
    var sealed: [Sealed] = []
    for name in ["acme", "globex", "initech"] {
      _ = try calls.service.createTenant(tenant(name), by: shop.caller, tags)
      for suite in Suite.allCases {
        let keyName = "k\(suite.rawValue)"
        _ = try calls.service.createKey(key(keyName), of: tenant(name), suite: suite, by: shop.caller, tags)
        for version in 1...3 {
          for number in 0..<3 { sealed.append(try seal(calls, name, suite, number)) }
          guard version < 3 else { continue }
          _ = try calls.service.rotateKey(key(keyName), of: tenant(name), by: shop.caller, tags)
        }
      }
    }
    return sealed
  }

  private func seal(_ calls: Calls, _ owner: String, _ suite: Suite, _ number: Int) throws -> Sealed {
    let text = Array("\(owner) \(suite) \(number)".utf8)
    let context = try Self.context(number)
    let envelope = try calls.encrypt(text, under: "k\(suite.rawValue)", of: owner, context).get()
    let header = try Envelope.parseHeader(envelope.span)
    let issued = try calls.issue(under: "k\(suite.rawValue)", of: owner, context).get()
    let place = Place(
      tenant: owner, context: number, version: header.key.version, suite: header.suite, key: header.key)
    return Sealed(place: place, text: text, envelope: envelope, dataKey: issued.wrapped)
  }

  // MUST: ENV-9
  @Test func `an envelope opens in its own place and in no other, whatever its header is made to say`() throws
  {
    try shop.running { service in
      var calls = try Calls(service, by: shop.caller)
      let sealed = try fill(calls)
      #expect(Set(sealed.map(\.place)).count == 54)
      calls.waits = false
      var opened = 0
      var reasons: [Reason: Int] = [:]
      for (here, there) in sealed.flatMap({ here in sealed.map { (here, $0) } }) {
        var claimed = here.envelope
        claimed.replaceSubrange(3..<24, with: there.envelope[3..<24])
        let context = try Self.context(there.place.context)
        let answer = try calls.decrypt(claimed, of: there.place.tenant, context)
        if here.place == there.place {
          #expect(answer == .success(here.text))
          opened += 1
        } else {
          #expect(answer == .failure(.decryptionFailed))
          reasons[try calls.lastEntry().reason, default: 0] += 1
        }
      }
      #expect(opened == 54 && reasons == [.keyOrContext: 54 * 53])
    }
  }

  // MUST: ENV-9
  @Test func `an envelope as it is opens for its own tenant and context only`() throws {
    try shop.running { service in
      var calls = try Calls(service, by: shop.caller)
      let sealed = try fill(calls)
      calls.waits = false
      for here in sealed {
        for owner in ["acme", "globex", "initech"] {
          for number in 0..<3 {
            let answer = try calls.decrypt(here.envelope, of: owner, Self.context(number))
            let dataKey = try calls.unwrap(here.dataKey, of: owner, Self.context(number))
            let entry = try calls.lastEntry()
            guard owner != here.place.tenant || number != here.place.context else {
              #expect(answer == .success(here.text) && entry.outcome == .ok)
              #expect(try dataKey.get().count == 32)
              continue
            }
            #expect(answer == .failure(.decryptionFailed) && dataKey == .failure(.decryptionFailed))
            #expect(entry.reason == (owner == here.place.tenant ? .keyOrContext : .noSuchKey))
          }
        }
      }
    }
  }
}
