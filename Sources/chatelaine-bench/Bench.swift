internal import ArgumentParser
internal import CBench
internal import ChatelaineExits
internal import Foundation

/// Measures Chatelaine against floors in the same run: interleaved rounds, medians with their spread.
@main struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chatelaine-bench",
    abstract: "Measures Chatelaine against floors in the same run.",
    discussion: "Figures of different runs or machines say nothing together; ratios of one run do.",
    subcommands: [RunCommand.self, GenerateCommand.self, ScaleCommand.self, EchoCommand.self],
    defaultSubcommand: RunCommand.self)

  static func main() {
    // why: a server that ends must be an error of one call, not the end of this program.
    signal(SIGPIPE, SIG_IGN)
    let signals = Ending.onSignals()
    defer { signals.forEach { $0.cancel() } }
    do {
      var command = try parseAsRoot()
      try command.run()
      Ending.now()
    } catch {
      Ending.now()
      guard let sentence = (error as? BenchError)?.sentence ?? Failure(error)?.sentence else { exit(withError: error) }
      say("chatelaine-bench: \(sentence)")
      Foundation.exit(1)
    }
  }
}

/// What stops a measurement, in one sentence.
struct BenchError: Error {
  let sentence: String

  init(_ sentence: String) { self.sentence = sentence }
}

/// The echo floor, in a process of its own so that its CPU can be told from the load's.
struct EchoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "serve-echo", shouldDisplay: false)

  @Argument var socket: String

  func run() throws {
    guard unsafe ch_echo_serve(socket, 0) == 0 else { throw BenchError("Nothing can listen at \(socket).") }
  }
}
