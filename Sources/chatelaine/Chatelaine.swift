internal import ArgumentParser

/// The operators' and reviewers' tool.
@main struct Chatelaine: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chatelaine",
    abstract: "Sets a service up, looks after master keys, and reads what Chatelaine wrote.",
    subcommands: [InitCommand.self, KeyringCommand.self, EnvelopeCommand.self, AuditCommand.self])

  static func main() { runClosedUp(Self.self) }
}
