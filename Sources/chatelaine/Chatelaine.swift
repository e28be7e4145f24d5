internal import ArgumentParser

/// The operators' and reviewers' tool.
@main struct Chatelaine: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chatelaine",
    abstract: "Looks after master keys, and reads what Chatelaine wrote.",
    subcommands: [KeyringCommand.self, EnvelopeCommand.self, AuditCommand.self])

  static func main() { runClosedUp(Self.self) }
}
