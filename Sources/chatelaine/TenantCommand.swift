internal import ArgumentParser
internal import ChatelaineAdminClient
internal import ChatelaineMessages
internal import ChatelaineVocabulary

/// `chatelaine tenant`: who owns keys.
struct TenantCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tenant", abstract: "Creates, lists and freezes tenants.",
    subcommands: [TenantCreate.self, TenantList.self, TenantFreeze.self, TenantUnfreeze.self])
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
    admin.report("created", tenant, reply.receipt)
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

struct TenantFreeze: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "freeze",
    abstract: "Refuses every use of every key of a tenant, at once and at every door, until it is unfrozen.",
    discussion: exitCodesHelp)

  @Argument(help: "1 to 64 of a-z 0-9 . _ -")
  var tenant: String

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let reply = try await admin.withService { try await $0.freezeTenant(tenant) }
    admin.report("frozen", tenant, reply.receipt)
  }
}

struct TenantUnfreeze: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unfreeze", abstract: "Lets a frozen tenant's keys be used again. Disabled ones stay disabled.",
    discussion: exitCodesHelp)

  @Argument(help: "1 to 64 of a-z 0-9 . _ -")
  var tenant: String

  @OptionGroup var admin: AdminOptions

  func run() async throws {
    let reply = try await admin.withService { try await $0.unfreezeTenant(tenant) }
    admin.report("unfrozen", tenant, reply.receipt)
  }
}

extension AdminOptions {
  fileprivate func report(_ verb: String, _ tenant: String, _ receipt: Chatelaine_V1_Receipt) {
    let fields = [("tenant", JSON.string(tenant)), ("receipt", receipt.json)]
    print(json ? JSON.object(fields).text : "\(verb) \(tenant)")
  }
}

extension Chatelaine_V1_Tenant {
  private var created: WallTime { WallTime(nanoseconds: createdUnixNs) }

  fileprivate var line: String { "\(id)  \(created.rfc3339)  master v\(masterVersion)\(frozen ? "  frozen" : "")" }

  fileprivate var json: JSON {
    .object([
      ("tenant", .string(id)), ("created", .string(created.rfc3339)),
      ("masterVersion", .number(UInt64(masterVersion))), ("frozen", .bool(frozen)),
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
