internal import ArgumentParser

/// `chatelaine envelope`: the bytes that callers store.
struct EnvelopeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "envelope", abstract: "Reads envelopes.", subcommands: [EnvelopeInspect.self])
}
