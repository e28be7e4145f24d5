/// The users and groups of this machine by name, from /etc/passwd and /etc/group.
///
/// why: not by getpwnam(3), which loads modules into the process that holds keys, and lets them connect to what
/// they like. Users from elsewhere are named by their number.
package struct AccountNames: Sendable {
  private let users: [String: UInt32]
  private let groups: [String: UInt32]
  private let primaryGroups: [UInt32: UInt32]

  /// From the bytes of the two files.
  package init(passwd: [UInt8], group: [UInt8]) {
    users = Self.numbers(passwd)
    groups = Self.numbers(group)
    primaryGroups = Self.primaryGroups(passwd)
  }

  /// What the files of this machine say now; of a file that cannot be read, nothing.
  package static func system() -> AccountNames {
    AccountNames(passwd: file("/etc/passwd"), group: file("/etc/group"))
  }

  package func uid(ofUser name: String) -> UInt32? { users[name] }

  package func gid(ofGroup name: String) -> UInt32? { groups[name] }

  package func primaryGroup(ofUID uid: UInt32) -> UInt32? { primaryGroups[uid] }

  private static func file(_ path: String) -> [UInt8] {
    (try? ConfigurationFile.read(path, bytesMax: 16 << 20)) ?? []
  }

  /// By the third and the fourth field of each line; where a number stands twice, the first counts.
  private static func primaryGroups(_ passwd: [UInt8]) -> [UInt32: UInt32] {
    var groups: [UInt32: UInt32] = [:]
    for line in passwd.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      guard fields.count >= 4, let uid = UInt32(String(decoding: fields[2], as: UTF8.self)),
        let gid = UInt32(String(decoding: fields[3], as: UTF8.self))
      else { continue }
      if groups[uid] == nil { groups[uid] = gid }
    }
    return groups
  }

  /// The first field and the third of each line; where a name stands twice, the first counts.
  private static func numbers(_ bytes: [UInt8]) -> [String: UInt32] {
    var numbers: [String: UInt32] = [:]
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
      guard fields.count == 4, let number = UInt32(String(decoding: fields[2], as: UTF8.self)) else {
        continue
      }
      let name = String(decoding: fields[0], as: UTF8.self)
      if numbers[name] == nil { numbers[name] = number }
    }
    return numbers
  }
}
