internal import ChatelaineEnvelopes
internal import ChatelaineMeasures
internal import ChatelainePrimitives
internal import ChatelaineSecretMemory
internal import ChatelaineVocabulary

/// An envelope of 100 bytes in process, everything on: context hash, derivation, commitment, cipher.
struct EnvelopeBench {
  let rounds: Int
  let operations: Int

  func run(into report: inout Report) throws {
    var derivation = Series()
    for suite in Suite.allCases {
      let name = suite == .aes256GCM ? "AES-256-GCM" : "XChaCha20-Poly1305"
      let bench = try SuiteBench(suite)
      var (seal, open, floor) = (Series(), Series(), Series())
      for _ in 0..<rounds {
        seal.add(bench.seal(operations))
        open.add(bench.open(operations))
        floor.add(bench.rawSeal(operations))
        if suite == .aes256GCM { derivation.add(bench.derivation(operations)) }
      }
      let alone = Measured.Floor("cipher alone, re-keyed", floor)
      report.measurements += [
        Measured("seal 100 B, \(name)", unit: "ns", .lower, seal, floor: alone),
        Measured("open 100 B, \(name)", unit: "ns", .lower, open, floor: alone),
      ]
      let limit = suite == .aes256GCM ? 1000.0 : 1200
      report.aims += [
        Aim("seal 100 B, \(name), ns", seal, .atMost, limit), Aim("open 100 B, \(name), ns", open, .atMost, limit),
      ]
    }
    report.measurements.append(Measured("context hash and derivation alone", unit: "ns", .lower, derivation))
  }
}

private final class SuiteBench {
  private let suite: Suite
  private let cipher: EnvelopeCipher
  private let aes: AES256GCM
  private let secret = SecretBytes.random(count: 32)
  private let key: DerivationKey
  private let selector: Envelope.Selector
  private let tenant: TenantID
  private let context: EncryptionContext
  private let plaintext = [UInt8](repeating: 0x61, count: 100)
  private let salts = SecureRandom.bytes(24 * 64)
  private var output = [UInt8](repeating: 0, count: 256)
  private var envelope: [UInt8] = []

  init(_ suite: Suite) throws {
    self.suite = suite
    cipher = try EnvelopeCipher()
    aes = try AES256GCM()
    key = secret.withBytes { DerivationKey($0) }
    selector = .init(
      suite: suite, kind: .tenantKey, key: KeyReference(id: SecureRandom.identifier(), version: 1))
    tenant = try TenantID("acme")
    context = try EncryptionContext([.init(key: Array("field".utf8), value: Array("iban".utf8))])
    envelope = sealOnce(0)
  }

  private func sealOnce(_ index: Int) -> [UInt8] {
    [UInt8](rawCapacity: 196) { output in self.seal(index, into: &output) }
  }

  private func seal(_ index: Int, into output: inout OutputRawSpan) {
    let hash = BindingHash.context(tenant: tenant, context)
    let start = index % 64 * 24
    let (plaintext, salts) = (self.plaintext, self.salts)
    plaintext.span.withRawSpan { plaintext in
      cipher.seal(
        plaintext, as: selector, key: key, contextHash: hash, salt: salts.span.extracting(start..<start + 24),
        appendingTo: &output)
    }
  }

  func seal(_ count: Int) -> Double {
    nanosecondsEach(count) { index in
      output.withOutput { output in self.seal(index, into: &output) }
    }
  }

  func open(_ count: Int) -> Double {
    let envelope = envelope
    return nanosecondsEach(count) { _ in
      let hash = BindingHash.context(tenant: tenant, context)
      output.withOutput { output in
        guard (try? cipher.open(envelope.span, as: selector, key: key, contextHash: hash, appendingTo: &output)) != nil
        else { fatalError("the envelope does not open") }
      }
    }
  }

  /// What the format needs beside the cipher, and nothing else: SHA-256 of the context, one HMAC-SHA-512.
  func derivation(_ count: Int) -> Double {
    let bound = [UInt8](repeating: 2, count: Envelope.boundByteCount)
    return nanosecondsEach(count) { _ in
      let extra = BindingHash.context(tenant: tenant, context).digest.inlineBytes
      output.withOutput { output in
        unsafe output.append(repeating: 0, count: DerivationKey.outputByteCount, as: UInt8.self)
        var mac = output.mutableBytes
        key.derive(.envelope, bound.span, extra.span, into: &mac)
      }
    }
  }

  /// The cipher with a fresh key each time and nothing else.
  func rawSeal(_ count: Int) -> Double {
    let nonce = [UInt8](repeating: 0, count: suite == .aes256GCM ? 12 : 24)
    let associated = [UInt8](repeating: 1, count: 112)
    let plaintext = plaintext
    return nanosecondsEach(count) { _ in
      output.withOutput { output in
        secret.withBytes { key in
          plaintext.span.withRawSpan { plaintext in
            if suite == .aes256GCM {
              aes.seal(
                plaintext, key: key, nonce: nonce.span, authenticating: associated.span, appendingTo: &output)
            } else {
              XChaCha20Poly1305.seal(
                plaintext, key: key, nonce: nonce.span, authenticating: associated.span, appendingTo: &output)
            }
          }
        }
      }
    }
  }
}

extension [UInt8] {
  /// Lends the array's storage as an empty output.
  mutating func withOutput(_ body: (inout OutputRawSpan) -> Void) {
    unsafe withUnsafeMutableBytes { buffer in
      var output = unsafe OutputRawSpan(buffer: buffer, initializedCount: 0)
      body(&output)
      _ = unsafe output.finalize(for: buffer)
    }
  }
}
