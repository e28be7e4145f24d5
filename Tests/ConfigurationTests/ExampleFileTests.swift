import ChatelaineAccessPolicy
import ChatelaineConfiguration
import ChatelaineTokens
import ChatelaineTestSupport
import ChatelaineVocabulary
import Foundation
import Testing

/// What deploy/ gives to operators is read by the code that will read it there.
@Suite("Example files")
struct ExampleFileTests {
  static let accounts = AccountNames(
    passwd: Array("payments:x:2001:2001:::\narchive:x:2002:2002:::\noperator:x:2003:2003:::\n".utf8),
    group: Array("chatelaine-clients:x:901:\nchatelaine-operators:x:902:\n".utf8))

  private func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: Repository.root.appending(path: "deploy/" + name)))
  }

  private func text(_ name: String) throws -> String { String(decoding: try bytes(name), as: UTF8.self) }

  @Test("The example policy keeps two roles apart")
  func policy() throws {
    let policy = try PolicyFile.parse(bytes("policy-example.yaml"), file: "p.yaml", accounts: Self.accounts)
    #expect(!policy.combinedRoles && Set(policy.rules.map(\.role)) == [.application, .operator])
    let (payments, people) = (Principal(uid: 2001, gid: 2001), Principal(uid: 2003, gid: 2003))
    let (acme, key) = (try TenantID("acme"), try KeyName("payments-2"))
    #expect(policy.grants(to: payments).grant(.decrypt, tenant: acme, key: key) != nil)
    #expect(policy.grants(to: payments).grant(.keyRotate) == nil)
    #expect(policy.grants(to: people).grant(.keyRotate, tenant: acme, key: key) != nil)
    #expect(policy.grants(to: people).grant(.decrypt) == nil)
  }

  @Test("The example of tokens has an issuer and a static token, and no token")
  func tokens() throws {
    let text = String(decoding: try bytes("tokens-example.yaml"), as: UTF8.self)
    let rules = try TokensFileTests.parse(text).rules
    #expect(rules.issuers.map(\.name.rawValue) == ["platform"] && rules.statics.map(\.name.rawValue) == ["cron"])
    #expect(!text.contains("cht_"))
  }

  @Test("The example configuration names what the unit, sysusers and tmpfiles make")
  func configuration() throws {
    let file = "/etc/chatelaine/chatelaine.yaml"
    let settings = try ServiceConfiguration(
      bytes("chatelaine-example.yaml"), file: file, accounts: Self.accounts)
    #expect(settings.policy == "/etc/chatelaine/policy.yaml")
    #expect(settings.dataSocket == .init(path: "/run/chatelaine/data.sock", mode: 0o660, gid: 901))
    #expect(settings.adminSocket == .init(path: "/run/chatelaine/admin.sock", mode: 0o660, gid: 902))
    #expect(settings.allow.isEmpty && !settings.insecureExampleKeys)
    let (unit, users) = (try text("chatelained.service"), try text("chatelaine.sysusers"))
    #expect(unit.contains("--config \(file)\n") && unit.contains("User=chatelaine\n"))
    for group in ["chatelaine-clients", "chatelaine-operators"] {
      #expect(users.contains("\ng \(group) -") && unit.contains(group))
    }
    let folders = try text("chatelaine.tmpfiles")
    #expect(folders.contains("d /run/chatelaine ") && folders.contains("d /var/lib/chatelaine "))
    #expect(
      settings.store.hasPrefix("/var/lib/chatelaine/")
        && unit.contains("ReadWritePaths=/var/lib/chatelaine /run/chatelaine\n"))
  }

  @Test("The socket units listen where the configuration says, for the same groups")
  func socketUnits() throws {
    let settings = try ServiceConfiguration(
      bytes("chatelaine-example.yaml"), file: "/etc/chatelaine/chatelaine.yaml", accounts: Self.accounts)
    let http = try #require(settings.httpSocket)
    let doors = [
      ("data", settings.dataSocket, "clients"), ("admin", settings.adminSocket, "operators"), ("http", http, "clients"),
    ]
    for (name, socket, group) in doors {
      let lines = try text("chatelained-\(name).socket").split(separator: "\n")
      for line in [
        "ListenStream=\(socket.path)", "FileDescriptorName=\(name)", "Service=chatelained.service",
        "SocketMode=0\(String(socket.mode, radix: 8))", "SocketGroup=chatelaine-\(group)",
      ] { #expect(lines.contains(line[...]), "\(name): \(line)") }
    }
  }

  @Test("The unit runs without root and keeps memory off the disk")
  func unit() throws {
    let lines = try text("chatelained.service").split(separator: "\n")
    for line in [
      "NoNewPrivileges=yes", "ProtectSystem=strict", "LimitCORE=0", "MemorySwapMax=0",
      "CapabilityBoundingSet=",
      "Environment=SWIFT_BACKTRACE=enable=no LD_BIND_NOW=1", "RestrictAddressFamilies=AF_UNIX",
      "PrivateUsers=no",
    ] { #expect(lines.contains(line[...]), "\(line)") }
    #expect(!lines.contains { $0.hasPrefix("User=root") || $0.contains("insecure") })
  }
}
