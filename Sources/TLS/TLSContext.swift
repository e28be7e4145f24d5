internal import CTLS
internal import ChatelaineAccessPolicy
package import ChatelaineSecretMemory
package import ChatelaineVocabulary

/// Why the parts of a listener's TLS do not make one.
package enum TLSFault: Error, Equatable, Sendable {
  case certificate
  case key
  /// The key is not the certificate's.
  case pair
  case clientCA
  /// A line that is no fingerprint, from 1.
  case revoked(line: Int)
  /// libssl lacks what is asked of it.
  case library
}

/// What sessions of a listener are made of: its certificate and key, whose clients may come, and which may not. Never
/// changed, only replaced.
///
/// TLS 1.3 and nothing older (RFC 8446), AES-GCM and ChaCha20-Poly1305, X25519 and P-256; no tickets, no resumption, no
/// early data: every connection is a handshake of its own, in which the client's certificate is looked at.
@safe package final class TLSContext: @unchecked Sendable {
  /// Names of one certificate.
  package static let namesMax = 16

  let handle: OpaquePointer
  private let revoked: Revoked

  /// Files in PEM; the key without a passphrase. The key's bytes are libssl's from here on, on its heap.
  package init(
    certificates: [UInt8], key: borrowing SecretBytes, clientCA: [UInt8], revoked: Revoked = .none
  ) throws(TLSFault) {
    var problem: Int32 = 0
    let sorted = revoked.sortedBytes
    let opened: OpaquePointer? = unsafe key.withBytes { key in
      unsafe key.withUnsafeBytes { key in
        unsafe certificates.withUnsafeBytes { certificates in
          unsafe clientCA.withUnsafeBytes { clientCA in
            unsafe sorted.withUnsafeBytes { sorted in
              var parts = unsafe ch_tls_parts(
                certificates: certificates.baseAddress, certificates_count: certificates.count, key: key.baseAddress,
                key_count: key.count, client_ca: clientCA.baseAddress, client_ca_count: clientCA.count,
                revoked: sorted.baseAddress?.assumingMemoryBound(to: UInt8.self), revoked_count: revoked.count,
                is_name: { kind, text, count in unsafe certificateName(kind, text, count) == nil ? 0 : 1 },
                names_max: TLSContext.namesMax)
              return unsafe ch_tls_open(&parts, &problem)
            }
          }
        }
      }
    }
    guard let opened = unsafe opened else { throw TLSFault(problem) }
    unsafe handle = opened
    self.revoked = revoked
  }

  deinit { unsafe ch_tls_close(handle) }

  /// Until its own certificate ends; negative where it has.
  package var secondsLeft: Int64 { unsafe ch_tls_own_seconds_left(handle) }

  /// Whether one of these certificates is not taken any more.
  package func revokes(_ chain: [Digest]) -> Bool { chain.contains { revoked.contains($0) } }
}

/// nil: it says nobody's name.
@unsafe func certificateName(_ kind: Int32, _ text: UnsafeRawPointer?, _ count: Int) -> CertificateName? {
  let bytes = unsafe UnsafeRawBufferPointer(start: text, count: text == nil ? 0 : count)
  switch Int(kind) {
  case CH_TLS_URI: return unsafe CertificateName(spiffe: bytes)
  case CH_TLS_DNS: return unsafe CertificateName(dns: bytes)
  default: return nil
  }
}

extension TLSFault {
  fileprivate init(_ problem: Int32) {
    switch Int(problem) {
    case CH_TLS_CERTIFICATE: self = .certificate
    case CH_TLS_KEY: self = .key
    case CH_TLS_PAIR: self = .pair
    case CH_TLS_CLIENT_CA: self = .clientCA
    default: self = .library
    }
  }

  /// What is wrong and how to mend it; of which file says `TLSFiles`.
  package var sentence: String {
    switch self {
    case .certificate: "there is no certificate in PEM that can be used: put the service's own first, then those up to its CA"
    case .key: "there is no private key in PEM that can be used: it has no passphrase, and 2048 bits of RSA or P-256 at least"
    case .pair: "the private key is not that of the certificate: install the two that belong together"
    case .clientCA: "there is no CA's certificate in PEM, or something besides: put those in whose clients may come"
    case .revoked(let line): "line \(line) is no SHA-256 of a certificate: write 64 hexadecimal digits, or # and a comment"
    case .library: "libssl has not what is asked of it: install Debian's libssl3, or one that knows TLS 1.3"
    }
  }
}
