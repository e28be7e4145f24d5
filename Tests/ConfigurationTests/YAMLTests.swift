import ChatelaineConfiguration
import ChatelaineTestSupport
import ChatelaineVocabulary
import Testing
import Yams

@Suite("YAML, as far as it is used")
struct YAMLTests {
  private func refusal(_ bytes: [UInt8]) -> ConfigurationError? {
    do throws(ConfigurationError) {
      _ = try PolicyFile.parse(bytes, file: "p.yaml", accounts: ServiceConfigurationTests.accounts)
      return nil
    } catch { return error }
  }

  private func refusal(_ text: String) -> ConfigurationError? { refusal(Array(text.utf8)) }

  @Test("Anchors, aliases, tags, directives and block texts are refused before anything is made of them")
  func special() {
    #expect(refusal("version: 1\nrules: []") == nil, "the control")
    let cases: [(text: String, line: Int, character: Character)] = [
      ("version: 1\nrules: &a []", 2, "&"), ("version: 1\nrules: *a", 2, "*"),
      ("version: 1\nrules: [&a x]", 2, "&"), ("version: 1\nrules:\n- *a", 3, "*"),
      ("version: 1\n&a rules: []", 2, "&"),
      ("version: !!int 1\nrules: []", 1, "!"), ("%YAML 1.1\n---\nversion: 1\nrules: []", 1, "%"),
      ("version: 1\nrules: |\n  x", 2, "|"), ("version: 1\nrules: >-\n  x", 2, ">"),
      ("version: 1\n? [a]\n: b", 2, "?"), ("version: 1\nrules: [ 'x', {a: *b}]", 2, "*"),
    ]
    for (text, line, character) in cases {
      let error = refusal(text)
      #expect(error?.line == line && error?.problem == .special(character), "\(text)")
    }
  }

  @Test("A short file that stands for billions of values is refused at its first anchor, at once")
  func billionLaughs() {
    var text = "version: 1\na0: &a0 [x, x]\n"
    for level in 1...60 { text += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
    let start = ContinuousClock.now
    #expect(refusal(text + "? *a60\n: x\n")?.problem == .special("&"))
    // The same as keys that would be compared, with quotes that hide the anchors from a careless reader.
    #expect(refusal("version: 1\nx: [it 's, &a [y], it ' z]")?.problem == .quote)
    #expect(ContinuousClock.now - start < .seconds(5))
  }

  @Test("No blank, line end or bracket hides an alias or an anchor from the look before the parser")
  func hidden() {
    for text in [
      "version: 1\nrules:\t&a []", "version: 1\nrules:\n-\t*a", "version: 1\n?\t*a\n: b",
      "version: 1\nrules: [?*a]",
      "version: 1\nx: {\"a\":*b}", "---\t&a\nversion: 1", "version: 1\nx: [a - 'b, &x c, d - ' e]",
      "version: 1\nx: [abc\n  'de, &x y, ' , z]", "version: 1\nt [\"p: [*e]\"",
      "version: 1\nx: [# .\n*a : b", "k: [\"x\"#[\n]\n*a : z", "version: 1\nx: [abc,\n  &x y]",
      "version: 1\nx: {a: b,\n *c : d}",
    ] {
      switch refusal(text)?.problem {
      case .special, .quote: break
      case let other: Issue.record("\(text): \(String(describing: other))")
      }
    }
    for unseen in ["\u{85}", "\u{2028}", "\u{2029}", "\u{9b}"] as [Unicode.Scalar] {
      let refusal = refusal("version: 1\nx: y\(unseen)? *a")
      #expect(refusal?.problem == .controlCharacter(unseen.value) && refusal?.line == 2)
    }
    #expect(refusal("version: 1\nx: y\u{feff}? *a")?.problem == .byteOrderMark)
    #expect(refusal("version: 1\nrules: [ # a, 'comment\n ]\t# isn't it")?.problem == nil, "the control")
  }

  @Test("The control: the parser alone makes a value out of another, wherever the alias hides")
  func parserControl() throws {
    for text in [
      "a: &x [1]\nb: *x", "a:\t&x [1]\nb:\t*x", "a: &x [1]\nb: {\"c\":*x}", "a: &x [1]\nb [\"c: [*x]",
      "a: [p - 'q, &x [1], r - ' s]\nb: [*x]", "a: &x y\u{2028}? *x\n: z",
    ] {
      #expect(refusal("version: 1\n" + text) != nil, "\(text)")
      #expect(throws: Never.self, "\(text)") { _ = try compose(yaml: text, .basic, .default, .utf8) }
    }
    #expect(throws: YamlError.self, "an alias is looked up") {
      try compose(yaml: "b: *x", .basic, .default, .utf8)
    }
  }

  @Test("What only looks like an alias is text: in quotes, in comments, within a word")
  func harmless() {
    let text = """
      version: 1 # *not* an &alias, isn't it
      rules: # "
        - name: a.b
          role: application
          principals: ['uid:1']
          tenants: ["*", 'a*', a*]
          keys: "*"
          operations: "*"
      """
    #expect(refusal(text) == nil)
  }

  @Test("Quotes that begin within a value, or end on another line, are refused")
  func quotes() {
    for text in [
      "version: it's\nrules: []", "version: 1\nrules: \"a\n  b\"", "version: a\"b",
      "version: 1\nrules: 'it''s",
    ] {
      #expect(refusal(text)?.problem == .quote, "\(text)")
    }
  }

  @Test("What is not YAML, not text, nothing, or two documents is refused")
  func malformed() {
    #expect(refusal("version: 1\nrules: [")?.sentence.hasPrefix("p.yaml:3: this is not YAML: ") == true)
    #expect(refusal("version: 1\n\trules: []")?.line == 2)
    #expect(refusal("")?.problem == .empty && refusal("# only a comment\n")?.problem == .empty)
    #expect(
      refusal("version: 1\nrules: []\n---\nversion: 1\nrules: []")?.sentence.contains("another document")
        == true)
    #expect(refusal("- version")?.problem == .type(key: "the file", wanted: .mapping))
    #expect(refusal([0xff, 0xfe, 0x31])?.problem == .notText)
    #expect(refusal(Array("version: 1\n# ".utf8) + [0xe4, 0x0a])?.line == 2)
    #expect(refusal("version: 1\0")?.sentence.contains("p.yaml:1: there is a control character") == true)
    #expect(refusal("version: 1\n#\u{1b}[2J")?.sentence.contains("p.yaml:2: there is a control character or an invisible end of line (U+001B)") == true)
    #expect(refusal("version: 1\nrules: []\r\n")?.sentence.hasPrefix("p.yaml:2: a line ends as on Windows") == true)
    #expect(refusal("\u{feff}version: 1")?.sentence.hasPrefix("p.yaml:1: there is a byte order mark") == true)
    #expect(refusal("version: 1\n[a]: b\nrules: []")?.problem == .type(key: "a key", wanted: .text))
  }

  @Test("Files are bounded in bytes, values and depth")
  func bounds() {
    let filler = "version: 1\nrules: []\n#"
    let exact = filler + String(repeating: "x", count: Limits.configurationBytesMax - filler.utf8.count)
    #expect(refusal(exact) == nil)
    #expect(refusal(exact + "x")?.problem == .tooLarge(limitBytes: Limits.configurationBytesMax))
    let many = "version: 1\nrules: [" + String(repeating: "1,", count: Limits.configurationValuesMax) + "]"
    #expect(refusal(many)?.problem == .tooManyValues(limit: Limits.configurationValuesMax))
    let deep = "version: 1\nrules: " + String(repeating: "[", count: 500_000)
    #expect(refusal(deep) != nil)
    let nested =
      "version: 1\nrules: " + String(repeating: "[", count: 900) + String(repeating: "]", count: 900)
    #expect(refusal(nested)?.problem == .type(key: "rule", wanted: .mapping))
  }

  @Test("Of random texts none hides an alias or an anchor, and none traps")
  func noise() {
    let words = [
      "a", "b", " ", "  ", "\t", "\n", "\n  ", ": ", ":", "- ", "-", "? ", "?", ", ", ",", "[", "]", "{", "}",
      "'", "\"", "\\", "#",
      " #", "&a", "*a", "&a ", "*a ", "!t ", "|", ">", "%", "---", "...", "version: 1\n", "rules: ", "~",
    ]
    var random = SeededRandom(seed: 0x11)
    var refusals = 0
    for _ in 0..<30_000 {
      let text = (0..<Int.random(in: 1...24, using: &random)).map { _ in words.randomElement(using: &random)!
      }.joined()
      guard let error = refusal("version: 1\nrules: []\n" + text) ?? refusal(text) else { continue }
      refusals += 1
      guard case .syntax(let problem) = error.problem else { continue }
      #expect(
        !problem.contains("alias") && !problem.contains("anchor"), "\(text.debugDescription): \(problem)")
    }
    #expect(refusals > 1000)
  }

  @Test("Names of accounts come from the first line that has them, and lines that are none are passed over")
  func accounts() {
    let names = AccountNames(
      passwd: Array("a:x:1:2:::\nbroken\na:x:9:9:::\n:x:3:3:::\nb:x:-1:0:::\nc:x:4294967294:0:::".utf8),
      group: [0xff, 0x3a])
    #expect(
      names.uid(ofUser: "a") == 1 && names.uid(ofUser: "b") == nil && names.uid(ofUser: "broken") == nil)
    #expect(names.uid(ofUser: "c") == 4_294_967_294 && names.gid(ofGroup: "a") == nil)
    #expect(AccountNames.system().uid(ofUser: "root") == 0)
  }
}
