import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing

/// Both AEADs behind one face, so that every test asks the same of each.
enum Cipher: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case aes256GCM = "AES-256-GCM"
  case xchacha20Poly1305 = "XChaCha20-Poly1305"

  var testDescription: String { rawValue }
  var nonceByteCount: Int { self == .aes256GCM ? 12 : 24 }

  func seal(_ message: AEADMessage, with aes: AES256GCM) -> [UInt8] {
    let key = SecretBytes(copying: message.key)
    return key.withBytes { key in
      message.plaintext.withRawSpan { plaintext in
        [UInt8](rawCapacity: plaintext.byteCount + 16) { output in
          switch self {
          case .aes256GCM:
            aes.seal(
              plaintext, key: key, nonce: message.nonce.span, authenticating: message.associated.span,
              appendingTo: &output)
          case .xchacha20Poly1305:
            XChaCha20Poly1305.seal(
              plaintext, key: key, nonce: message.nonce.span, authenticating: message.associated.span,
              appendingTo: &output)
          }
        }
      }
    }
  }

  /// The plaintext, or nil; what is refused must leave the output as it was.
  func open(_ sealed: [UInt8], as message: AEADMessage, with aes: AES256GCM) -> [UInt8]? {
    let key = SecretBytes(copying: message.key)
    var isOpened = false
    let before: [UInt8] = [0xca, 0xfe]
    let output = key.withBytes { key in
      [UInt8](rawCapacity: max(0, sealed.count - 16) + before.count) { output in
        output.append(contentsOf: before.span)
        switch self {
        case .aes256GCM:
          isOpened = aes.open(
            sealed.span, key: key, nonce: message.nonce.span, authenticating: message.associated.span,
            appendingTo: &output)
        case .xchacha20Poly1305:
          isOpened = XChaCha20Poly1305.open(
            sealed.span, key: key, nonce: message.nonce.span, authenticating: message.associated.span,
            appendingTo: &output)
        }
      }
    }
    precondition(output.starts(with: before), "what stood in the output was changed")
    precondition(isOpened || output.count == before.count, "a refused message left bytes in the output")
    return isOpened ? Array(output.dropFirst(before.count)) : nil
  }
}

/// What one AEAD call takes.
struct AEADMessage {
  var key: [UInt8]
  var nonce: [UInt8]
  var associated: [UInt8] = []
  var plaintext: [UInt8] = []
}

func sha256(_ bytes: [UInt8]) -> String { SHA256.hash(bytes).hex }

/// HMAC-SHA-512 over up to four parts.
func hmac(key: [UInt8], _ a: [UInt8], _ b: [UInt8] = [], _ c: [UInt8] = [], _ d: [UInt8] = []) -> [UInt8] {
  let secret = SecretBytes(copying: key)
  let prepared = secret.withBytes { HMACSHA512(key: $0) }
  var output = SecretBytes.zeros(count: HMACSHA512.macByteCount)
  output.withMutableBytes { prepared.authenticate(a.span, b.span, c.span, d.span, into: &$0) }
  return output.copied()
}

func signature(of message: [UInt8], seed: [UInt8]) -> [UInt8] {
  seed.withRawSpan { Ed25519.sign(message.span, seed: $0) }
}

func isValid(_ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]) -> Bool {
  Ed25519.isValid(signature: signature.span, of: message.span, publicKey: publicKey.span)
}
