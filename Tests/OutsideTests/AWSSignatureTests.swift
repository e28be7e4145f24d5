import ChatelaineOutside
import ChatelainePrimitives
import ChatelaineSecretMemory
import ChatelaineVocabulary
import Testing

/// Signature Version 4, by the examples that Amazon published.
struct AWSSignatureTests {
  private static func credentials(_ access: String, _ secret: String) -> AWSCredentials {
    let bytes = Array(secret.utf8)
    return AWSCredentials(
      accessKey: access, secret: SecretBytes(count: bytes.count) { $0.append(contentsOf: bytes.span) }, token: nil)
  }

  private static func ofS3() -> AWSCredentials {
    credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
  }

  private static let empty = SHA256.hash([]).hex

  @Test func `The test suite's get-vanilla`() {
    // "Signature Version 4 Test Suite", get-vanilla.
    let signature = AWSSignature(region: "us-east-1", service: "service", time: "20150830T123600Z")
    let text = signature.authorization(
      "GET", path: "/", headers: [("x-amz-date", "20150830T123600Z"), ("host", "example.amazonaws.com")],
      payloadHash: Self.empty, by: Self.credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
    #expect(
      text == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
        + "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
  }

  @Test func `S3's examples: an object got and put`() {
    // "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API Reference.
    let signature = AWSSignature(region: "us-east-1", time: "20130524T000000Z")
    let host = ("host", "examplebucket.s3.amazonaws.com"), date = ("x-amz-date", "20130524T000000Z")
    let got = signature.authorization(
      "GET", path: "/test.txt", headers: [host, ("range", "bytes=0-9"), ("x-amz-content-sha256", Self.empty), date],
      payloadHash: Self.empty, by: Self.ofS3())
    #expect(got.hasSuffix("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"))
    let hash = SHA256.hash(Array("Welcome to Amazon S3.".utf8)).hex
    let put = signature.authorization(
      "PUT", path: "/test%24file.text",
      headers: [
        ("date", "Fri, 24 May 2013 00:00:00 GMT"), host, ("x-amz-content-sha256", hash), date,
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
      ], payloadHash: hash, by: Self.ofS3())
    #expect(put.hasSuffix("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"))
  }

  @Test func `Whatever is signed counts`() {
    func sign(
      _ method: String = "GET", path: String = "/a", region: String = "us-east-1", time: String = "20130524T000000Z",
      value: String = "1", hash: String = "2"
    ) -> String {
      AWSSignature(region: region, time: time).authorization(
        method, path: path, headers: [("host", "h"), ("x-a", value)], payloadHash: hash, by: Self.ofS3())
    }
    let all = [
      sign(), sign("PUT"), sign(path: "/b"), sign(region: "us-east-2"), sign(time: "20130525T000000Z"), sign(value: "2"),
      sign(hash: "3"),
    ]
    #expect(Set(all.map { $0.suffix(64) }).count == all.count)
    #expect(sign() == all[0], "the control")
  }
}
