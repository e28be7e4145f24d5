internal import ArgumentParser
internal import ChatelaineAdminClient
internal import ChatelaineMessages
internal import ChatelaineVocabulary

/// `chatelaine tenant`: who owns keys.
struct TenantCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tenant", abstract: "Creates and lists tenants.",
    subcommands: [TenantCreate.self, TenantList.self])
}

struct TenantCreate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Creates a tenant. Its id is never used again.",
    discussion: exitCodesHelp)

  @Argument(help: "1 to 64 of a-z 0-9 . _ -")
  var tenant: String

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let reply = try await admin.withService { try await $0.createTenant(tenant) }
    let fields = [("tenant", JSON.string(tenant)), ("receipt", reply.receipt.json)]
    print(admin.json ? JSON.object(fields).text : "created \(tenant)")
  }
}

struct TenantList: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists tenants, in order of their ids.", discussion: exitCodesHelp)

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    try await admin.withService { service in
      var after = ""
      repeat {
        let page = try await service.listTenants(after: after)
        for tenant in page.tenants { print(admin.json ? tenant.json.text : tenant.line) }
        after = page.next
      } while !after.isEmpty
    }
  }
}

extension Chatelaine_V1_Tenant {
  private var created: WallTime { WallTime(nanoseconds: createdUnixNs) }

  fileprivate var line: String { "\(id)  \(created.rfc3339)  master v\(masterVersion)" }

  fileprivate var json: JSON {
    .object([
      ("tenant", .string(id)), ("created", .string(created.rfc3339)),
      ("masterVersion", .number(UInt64(masterVersion))),
    ])
  }
}

extension Chatelaine_V1_Receipt {
  var json: JSON {
    .object([
      ("logId", .string(Hex.encode([UInt8](logID).span))), ("epoch", .number(UInt64(epoch))),
      ("sequence", .number(sequence)), ("leafHash", .string(Hex.encode([UInt8](leafHash).span))),
    ])
  }
}
