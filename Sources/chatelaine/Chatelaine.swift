internal import ArgumentParser

/// The operators' and reviewers' tool.
@main struct Chatelaine: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chatelaine",
    abstract: "Sets a service up, talks to it, looks after master keys, and reads what Chatelaine wrote.",
    subcommands: [
      InitCommand.self, StatusCommand.self, TenantCommand.self, KeyCommand.self, MasterCommand.self, EncryptCommand.self,
      DecryptCommand.self, RewrapCommand.self, DataKeyCommand.self, KeyringCommand.self, SigningKeyCommand.self,
      EnvelopeCommand.self, PolicyCommand.self, TokenCommand.self, AuditCommand.self,
    ])

  static func main() { runClosedUp() }
}
