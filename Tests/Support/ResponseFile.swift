/// NIST's `.rsp` form, and cryptography's like it: `[Name = value]` for a group, blocks of `Name = value`.
package enum ResponseFile {
  package struct Block: Sendable {
    package var group: [String: String] = [:]
    package var fields: [String: String] = [:]
    /// Lines without `=`: `FAIL`.
    package var words: Set<String> = []

    package func bytes(_ name: String) -> [UInt8]? { fields[name].map { [UInt8](hex: $0) } }
  }

  package static func parse(_ lines: [String]) -> [Block] {
    var blocks: [Block] = []
    var current = Block()
    func trimmed(_ text: some StringProtocol) -> String {
      String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
    for line in lines + [""] where !line.hasPrefix("#") {
      if line.isEmpty {
        if !current.fields.isEmpty { blocks.append(current) }
        current.fields = [:]
        current.words = []
      } else if line.hasPrefix("["), line.hasSuffix("]") {
        let parts = line.dropFirst().dropLast().split(separator: "=", maxSplits: 1)
        if parts.count == 2 { current.group[trimmed(parts[0])] = trimmed(parts[1]) }
      } else {
        let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2 {
          current.fields[trimmed(parts[0])] = trimmed(parts[1])
        } else {
          current.words.insert(line)
        }
      }
    }
    return blocks
  }
}
