internal import ChatelainePrimitives
package import ChatelaineSecretMemory
internal import ChatelaineVocabulary

/// Who asks an S3 server: the secret stays in secret memory.
package struct AWSCredentials: ~Copyable {
  package let accessKey: String
  package let token: String?
  fileprivate let secret: SecretBytes

  /// `secret` as the server gave it out; `token` of credentials that last a while only.
  package init(accessKey: String, secret: borrowing SecretBytes, token: String?) {
    self.accessKey = accessKey
    self.token = token
    let prefix = Array("AWS4".utf8)
    self.secret = SecretBytes(count: prefix.count + secret.count) { output in
      output.append(contentsOf: prefix.span)
      secret.withBytes { output.append(contentsOf: $0) }
    }
  }
}

/// AWS Signature Version 4, as S3 takes it: the path encoded once, the payload's hash in the request.
package struct AWSSignature {
  package let region: String
  package let service: String
  /// `yyyyMMddTHHmmssZ`.
  package let time: String

  package init(region: String, service: String = "s3", time: String) {
    precondition(time.utf8.count == 16)
    (self.region, self.service, self.time) = (region, service, time)
  }

  /// The header `Authorization`. `path` and `query` as they are sent; `headers` with names in small letters, `host` and
  /// `x-amz-date` among them; `payloadHash` is the hex of SHA-256 over the body.
  package func authorization(
    _ method: String, path: String, query: String = "", headers: [(name: String, value: String)], payloadHash: String,
    by credentials: borrowing AWSCredentials
  ) -> String {
    let sorted = headers.sorted { $0.name < $1.name }
    let names = sorted.map(\.name).joined(separator: ";")
    let lines = sorted.map { "\($0.name):\($0.value)\n" }.joined()
    let request = [method, path.isEmpty ? "/" : path, query, lines, names, payloadHash].joined(separator: "\n")
    let scope = "\(time.prefix(8))/\(region)/\(service)/aws4_request"
    let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(SHA256.hash(Array(request.utf8)).hex)"
    return "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), SignedHeaders=\(names), Signature=\(signature(of: text, credentials))"
  }

  private func signature(of text: String, _ credentials: borrowing AWSCredentials) -> String {
    let date = Self.mac(String(time.prefix(8)), credentials.secret)
    let region = Self.mac(region, date)
    let service = Self.mac(service, region)
    let key = Self.mac("aws4_request", service)
    let message = Array(text.utf8)
    let signature = key.withBytes { key in
      [UInt8](rawCapacity: HMACSHA256.macByteCount) { HMACSHA256.authenticate(message.span, key: key, into: &$0) }
    }
    return Hex.encode(signature.span)
  }

  private static func mac(_ text: String, _ key: borrowing SecretBytes) -> SecretBytes {
    let message = Array(text.utf8)
    return SecretBytes(count: HMACSHA256.macByteCount) { output in
      key.withBytes { HMACSHA256.authenticate(message.span, key: $0, into: &output) }
    }
  }
}
