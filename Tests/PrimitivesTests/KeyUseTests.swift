import ChatelaineTestSupport
import Foundation
import Testing

/// What the sources do with keys, read from the sources: the compiler does not know one kind of key from
/// another.
@Suite("Use of keys")
struct KeyUseTests {
  /// Lines of the service's sources outside comments, by file. Benchmarks have keys of their own.
  static let lines: [(file: String, text: String)] = {
    let root = Repository.root.appending(path: "Sources").path
    let files = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
    return files.filter { $0.hasSuffix(".swift") && !$0.hasPrefix("chatelaine-bench/") }.sorted().flatMap { file in
      let text = (try? String(contentsOfFile: root + "/" + file, encoding: .utf8)) ?? ""
      return text.split(separator: "\n").map { (file, String($0)) }
        .filter { !$0.1.trimmingPrefix(while: \.isWhitespace).hasPrefix("//") }
    }
  }()

  static func uses(of pattern: Regex<(Substring, Substring)>) -> Set<String> {
    Set(lines.flatMap { line in line.text.matches(of: pattern).map { "\(line.file): \($0.1)" } })
  }

  // MUST: DERIV-2
  @Test("Ciphers and MACs take what D gave, never a stored key")
  func onlyIntoD() {
    let primitives = Self.uses(of: /\b(AES256GCM|XChaCha20Poly1305|HMACSHA512)\b/)
      .filter { !$0.hasPrefix("Primitives/AES256GCM") && !$0.hasPrefix("Primitives/XChaCha20Poly1305") }
      .filter { !$0.hasPrefix("Primitives/HMACSHA512") }
    #expect(
      primitives == [
        "Primitives/CommittingAEAD.swift: AES256GCM", "Primitives/CommittingAEAD.swift: XChaCha20Poly1305",
        "Primitives/Derivation.swift: HMACSHA512",
      ])
    // `authenticate` is HMAC without a label: only for keys that D gave.
    // What signs requests to somebody else's store has that store's keys, and is in no program that has ours.
    let withoutLabel = Self.uses(of: /(\w+)\.authenticate\(/).filter {
      !$0.hasPrefix("Primitives/") && !$0.hasPrefix("Outside/")
    }
    // A token's MAC is verified under the secret that its issuer shares, which is none of our keys.
    #expect(
      withoutLabel == [
        "KeyService/DataPath.swift: contextKey", "KeyStore/RowAuthenticator.swift: rowKey",
        "Tokens/TokenKey.swift: HMACSHA256",
      ])
    let derived = Self.uses(of: /((?:rowKey = \w+|contextKey: \w+)\.deriveKey)\(/)
    #expect(
      derived == [
        "KeyService/Loading.swift: contextKey: root.deriveKey",
        "KeyStore/RowAuthenticator.swift: rowKey = storeKey.deriveKey",
      ])
  }

  // MUST: DERIV-3
  @Test("Each label is used in one place, which holds the kind of key that the page gives it")
  func labels() {
    let uses = Self.uses(of: /(?:label: |derive\w*\()\.(\w+)/)
    #expect(
      uses == [
        "Custody/MasterKey.swift: keyCheckValue", "Custody/KeyringFile.swift: seal",
        "Envelopes/WrappedKey.swift: wrap", "Envelopes/EnvelopeCipher.swift: envelope",
        "KeyStore/RowAuthenticator.swift: row", "KeyService/Loading.swift: auditContext",
      ])
  }
}
