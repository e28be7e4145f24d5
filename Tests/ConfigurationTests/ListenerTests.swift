import ChatelaineAccessPolicy
import ChatelaineConfiguration
import Testing

@Suite("Doors on TCP in the configuration")
struct ListenerTests {
  static let smallest = ServiceConfigurationTests.smallest
  static let data = """

    data-tcp:
      listen: "127.0.0.1:7443"
      tls:
        certificate: tls/server.pem
        key: tls/server.key
        client-ca: /etc/ca.pem
    """

  static func refusal(_ old: String = "", _ new: String = "") -> String? {
    ServiceConfigurationTests.refusal(of: smallest + data, old, new)
  }

  @Test("Both doors are read, with paths that begin where the file lies; without them there are none")
  func read() throws {
    let http = Self.data.replacing("data-tcp", with: "http-tcp").replacing("127.0.0.1:7443", with: "[::1]:8200")
    let both = try ServiceConfigurationTests.parse(Self.smallest + Self.data + http + "\n    revoked: tls/revoked\n")
    #expect(
      both.dataTCP?.tls
        == .init(certificate: "/etc/chatelaine/tls/server.pem", key: "/etc/chatelaine/tls/server.key", clientCA: "/etc/ca.pem"))
    #expect(both.dataTCP?.address.text == "127.0.0.1:7443" && both.httpTCP?.address.text == "[::1]:8200")
    #expect(both.httpTCP?.tls.revoked == "/etc/chatelaine/tls/revoked")
    #expect(both.listeners.map(\.name) == ["data-tcp", "http-tcp"])
    #expect(try ServiceConfigurationTests.parse(Self.smallest).listeners.isEmpty)
  }

  @Test("An address is numbers, in one spelling", arguments: [
    "0.0.0.0:1", "10.1.2.3:65535", "[::]:7443", "[fe80::1]:7443", "[1:2:3:4:5:6:7:8]:1", "[2001:db8::]:1",
  ])
  func address(_ text: String) { #expect(ListenAddress(text)?.text == text) }

  @Test("Anything else is no address", arguments: [
    "", ":7443", "7443", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:07443", "127.0.0.1:+1",
    "127.0.0.1:-1", "127.1:7443", "127.0.0.01:7443", "localhost:7443", "::1:7443", "[::1]", "[127.0.0.1]:7443", "*:7443",
    "127.0.0.1:7443 ", "[fe80::1%eth0]:7443", "1.2.3.4.5:7443", "[::1:7443", "[1:2:3:4:5:6:7]:1",
    "[1:2:3:4:5:6:7:8:9]:1", "[1::2::3]:1", "[12345::]:1", "[:1]:1", "[]:1", "[::ffff:1.2.3.4]:1", "[::g]:1",
  ])
  func noAddress(_ text: String) {
    #expect(ListenAddress(text) == nil)
    #expect(Self.refusal("127.0.0.1:7443", text.isEmpty ? "x" : text)?.hasPrefix("c.yaml:15: ") == true)
  }

  @Test("What is missing, misspelled or double is refused with its line")
  func refused() {
    #expect(Self.refusal() == nil, "the control: unspoilt it is taken")
    #expect(Self.refusal("client-ca", "client-cas") == "c.yaml:19: unknown key 'data-tcp.tls.client-cas': did you mean 'client-ca'?")
    #expect(Self.refusal("\n    client-ca: /etc/ca.pem", "") == "c.yaml:17: the key 'data-tcp.tls.client-ca' is missing: add it")
    #expect(Self.refusal("data-tcp:", "data-tpc:") == "c.yaml:14: unknown key 'data-tpc': did you mean 'data-tcp'?")
    let http = Self.data.replacing("data-tcp", with: "http-tcp")
    #expect(Self.refusal("", http)?.contains("'http-tcp.listen' and 'data-tcp.listen' are one address") == true)
    let plain = ServiceConfigurationTests.refusal(of: Self.smallest, "", "\ndata-tcp:\n  listen: \"127.0.0.1:7443\"")
    #expect(plain?.contains("'data-tcp.tls' is missing: over TCP nobody is known without a certificate") == true)
  }

  @Test("A policy names certificates; other spellings are refused")
  func policy() throws {
    func rule(_ principal: String) throws(ConfigurationError) -> AccessPolicy {
      let text = "version: 1\nrules:\n  - {name: a, role: operator, principals: [\"\(principal)\"], operations: [status]}\n"
      return try PolicyFile.parse(Array(text.utf8), file: "p.yaml", accounts: ServiceConfigurationTests.accounts)
    }
    for name in ["spiffe://acme.example/billing", "dns:billing.acme.example"] {
      #expect(try rule(name).rules[0].principals.map(\.text) == [name])
    }
    for name in ["dns:", "dns:*.acme.example", "dns:Acme.example", "spiffe:acme", "spiffe://acme/*", "cn:ann"] {
      #expect(throws: ConfigurationError.self, "\(name)") { try rule(name) }
    }
  }
}
