/// Every bound of the product in one place. Nothing that arrives from outside is unbounded.
package enum Limits {
  /// Plaintext of one request, bytes.
  package static let plaintextBytesMax = 1 << 20
  /// Encryption context: pairs, bytes of a key, bytes of a value.
  package static let contextPairsMax = 16
  package static let contextKeyBytesMax = 64
  package static let contextValueBytesMax = 1024
  /// Names of tenants and keys, characters.
  package static let nameLengthMax = 64
  package static let subjectBytesMax = 128

  /// Items of a batch call, and of its log entry.
  package static let batchItemsMax = 1024
  /// Items of a batch of which each has an entry of its own.
  package static let batchEntriesMax = 128
  /// Tenants or keys on one page of a list: a reply of about 100 KiB.
  package static let listPageMax = 1000
  /// Entries of the log on one page, their bytes together, and how long one call reads for them.
  package static let logPageEntriesMax = 1000
  package static let logPageBytesMax = 1 << 20
  package static let logPageMilliseconds = 250
  /// Different keys among the envelopes of one batch.
  package static let batchKeysMax = 512
  /// Rewrapping in the background: tenants a transaction, transactions between two checkpoints of the store, how much
  /// of the time that a batch took it rests after it, and how far it stands back for other threads.
  package static let rewrapRowsMax = 2048
  package static let rewrapBatchesPerCheckpoint = 4
  package static let rewrapRestPercent: UInt64 = 50
  package static let rewrapNiceness: Int32 = 5
  /// How long a change waits for every thread to forget what it made stale.
  package static let revocationSecondsMax = 30
  /// One log entry, bytes.
  package static let entryBytesMax = 65_535
  package static let entryDetailBytesMax = 16_384
  package static let principalBytesMax = 512
  /// Text that a caller gives for the log (actor, purpose), bytes.
  package static let callerTextBytesMax = 256
  /// Entries of one frame of the log.
  package static let frameEntriesMax = 4096
  /// Entries between what tenant heads cover and the entry that says so; a service stays far below.
  package static let historyLagMax: UInt64 = 1 << 20
  package static let frameBytesRange = 131_072...16_777_216

  package static let passphraseBytesMax = 1024
  /// Argon2id cost of a passphrase seal: memory in KiB, passes.
  package static let argonMemoryKiBRange: ClosedRange<UInt32> = 8192...1_048_576
  package static let argonPassesRange: ClosedRange<UInt32> = 1...16

  /// A key version rotates by itself before it has sealed this many messages or bytes.
  package static let budgetMessagesDefault: UInt64 = 1 << 40
  package static let budgetBytesDefault: UInt64 = 1 << 50

  /// Rules of a policy, and names, patterns and principals in one list of a rule.
  package static let policyRulesMax = 1024
  package static let policyListMax = 1024

  /// A token: bytes of it, of its subject and of the id of its key, members of its claims, tenants that it names.
  package static let tokenBytesMax = 8 << 10
  package static let tokenSubjectBytesMax = 128
  package static let tokenKeyIDBytesMax = 256
  package static let tokenMembersMax = 64
  package static let tokenTenantsMax = 64
  /// A tokens' file: issuers, static tokens, audiences of an issuer; keys of an issuer, and bytes of their file.
  package static let tokenIssuersMax = 64
  package static let staticTokensMax = 1024
  package static let tokenAudiencesMax = 16
  package static let tokenKeysMax = 64
  package static let keySetBytesMax = 256 << 10
  package static let tokenLeewaySecondsRange: ClosedRange<UInt64> = 0...300
  /// Tokens that an event loop remembers: good ones, and bad ones.
  package static let tokensAtHandMax = 4096
  package static let badTokensAtHandMax = 64

  /// A file of configuration: bytes, and values in it.
  package static let configurationBytesMax = 1 << 20
  package static let configurationValuesMax = 65_536
  package static let pathBytesMax = 4095
  package static let eventLoopsRange: ClosedRange<UInt64> = 1...64
  package static let keysAtHandRange: ClosedRange<UInt64> = 1...1_000_000
  package static let connectionsMaxRange: ClosedRange<UInt64> = 1...65_536
  package static let segmentBytesRange: ClosedRange<UInt64> = (1 << 18)...(1 << 36)
}
