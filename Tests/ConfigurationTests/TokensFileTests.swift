import ChatelaineAccessPolicy
import ChatelaineConfiguration
import ChatelaineTokens
import ChatelaineVocabulary
import Testing

@Suite("Tokens file")
struct TokensFileTests {
  static let hash = String(repeating: "ab", count: 32)
  static let file = """
    version: 1
    issuers:
      - name: platform
        issuer: "https://id.acme.example"
        audience: [chatelaine, "other"]
        jwks: keys/jwks.json
        tenant-claim: "https://acme.example/tenant"
        leeway-seconds: 5
      - {name: second, issuer: "https://id.acme.example", audience: third, jwks: /etc/jwks.json}
    static:
      - {name: cron, tenant: [acme, beta], sha256: "\(hash)", expires: "2027-01-31T00:00:00Z"}
      - name: batch
        tenant: acme
        sha256: \(String(repeating: "01", count: 32))
    """

  static func parse(_ text: String) throws(ConfigurationError) -> TokensFile {
    try TokensFile(Array(text.utf8), file: "/etc/chatelaine/tokens.yaml") { (_) throws(ConfigurationError) in
      var keys = Array(
        #"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#.utf8)
      guard let set = try? TokenKeySet(parsing: &keys) else { preconditionFailure("a set of keys") }
      return (set, .zero)
    }
  }

  static func refusal(_ old: String, _ new: String) -> String? {
    do throws(ConfigurationError) {
      _ = try parse(file.replacing(old, with: new))
      return nil
    } catch { return error.sentence }
  }

  @Test("Issuers and static tokens are read as they stand, with the paths of their keys")
  func read() throws {
    let tokens = try Self.parse(Self.file)
    #expect(tokens.keySets == ["/etc/chatelaine/keys/jwks.json", "/etc/jwks.json"])
    let issuers = tokens.rules.issuers
    #expect(issuers.map(\.name.rawValue) == ["platform", "second"] && issuers.map(\.leewaySeconds) == [5, 30])
    #expect(issuers.map(\.tenantClaim) == ["https://acme.example/tenant", "tenant"])
    #expect(issuers[0].audiences == [Array("chatelaine".utf8), Array("other".utf8)])
    #expect(tokens.rules.statics.map { $0.tenants.map(\.rawValue) } == [["acme", "beta"], ["acme"]])
    #expect(tokens.rules.statics[0].hash.hex == Self.hash && tokens.rules.statics[1].expires == nil)
    #expect(tokens.rules.statics[0].expires?.rfc3339 == "2027-01-31T00:00:00.000000000Z")
    #expect(Set(tokens.rules.names.map(\.rawValue)) == ["platform", "second", "cron", "batch"])
    #expect(try Self.parse("version: 1\nissuers: []\n").rules.areNone)
    let other = try Self.parse(Self.file.replacing("leeway-seconds: 5", with: "leeway-seconds: 6"))
    #expect(other.rules.filesHash != tokens.rules.filesHash, "the log can tell them apart")
  }

  @Test("What cannot be meant is refused, with its line and how to mend it")
  func refused() throws {
    #expect(Self.refusal("x", "x") == nil, "the control")
    for (old, new, line, said) in [
      ("leeway-seconds", "leway-seconds", 8, "did you mean 'leeway-seconds'?"), ("issuers:", "issuer:", 2, "did you mean 'issuers'?"),
      ("leeway-seconds: 5", "leeway-seconds: 301", 8, "0 to 300"), ("name: platform", "name: Platform", 3, "no name of a token"),
      ("name: second", "name: platform", 9, "stands in the file already"), ("name: cron", "name: platform", 11, "stands in the file already"),
      ("audience: third", "audience: other", 9, "stands in the file already"),
      (String(repeating: "01", count: 32), Self.hash, 12, "stands in the file already"), (Self.hash, "ab", 11, "64 hexadecimal digits"),
      ("tenant: [acme, beta]", "tenant: [acme, \"*\"]", 11, "no pattern"), ("tenant: [acme, beta]", "tenant: []", 11, "1 to 64 values"),
      ("2027-01-31T00:00:00Z", "2027-02-31T00:00:00Z", 11, "no time"), ("https://acme.example/tenant", "sub", 7, "cannot be the claim"),
      ("version: 1", "version: 2", 1, "version 2"), ("    jwks: keys/jwks.json\n", "", 3, "'issuer.jwks' is missing"),
      ("audience: [chatelaine, \"other\"]", "audience: []", 5, "1 to 16 values"),
    ] {
      let sentence = Self.refusal(old, new) ?? "nothing"
      #expect(sentence.contains("tokens.yaml:\(line):") && sentence.contains(said), "\(old): \(sentence)")
    }
  }

  @Test("A rule names a token that there is; a principal is one by a token, with its subject or without")
  func rules() throws {
    func policy(_ more: String, _ principal: String = "uid:7") throws(ConfigurationError) -> AccessPolicy {
      let text = """
        version: 1
        rules:
          - name: apps
            role: application
            principals: ["\(principal)"]
            tenants: ["*"]
            keys: ["*"]
            operations: ["*"]
            \(more)
        """
      guard let names = try? Set(["platform", "cron"].map { try KeyName($0) }) else { preconditionFailure("names") }
      return try PolicyFile.parse(
        Array(text.utf8), file: "p.yaml", accounts: AccountNames(passwd: [], group: []), tokens: names)
    }
    func refusal(_ more: String, _ principal: String = "uid:7") -> String {
      do throws(ConfigurationError) {
        _ = try policy(more, principal)
        return "nothing"
      } catch { return error.sentence }
    }
    #expect(try policy("token: platform").rules[0].token?.rawValue == "platform", "the control")
    #expect(try policy("").rules[0].token == nil)
    #expect(refusal("token: plattform").contains("p.yaml:9: ") && refusal("token: plattform").contains("did you mean 'platform'?"))
    #expect(refusal("token: Platform").contains("no name of a token") && refusal("token: \"*\"").contains("no name of a token"))
    let (cron, platform) = try (KeyName("cron"), KeyName("platform"))
    #expect(try policy("", "token:cron").rules[0].principals == [.token(cron, subject: nil)])
    let alice = PrincipalPattern.token(platform, subject: Array("alice/x y".utf8))
    #expect(try policy("", "token:platform/alice/x y").rules[0].principals == [alice] && alice.text == "token:platform/alice/x y")
    #expect(refusal("", "token:nobody").contains("p.yaml:5: "))
    for text in ["token:", "token:cron/", "token:*", "token:cron/\(String(repeating: "s", count: 129))", "token"] {
      #expect(refusal("", text).contains("is no principal"), "\(text)")
    }
  }
}
