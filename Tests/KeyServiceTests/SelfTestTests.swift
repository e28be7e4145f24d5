import ChatelaineVocabulary
import Testing

@testable import ChatelaineKeyService

@Suite struct SelfTestTests {
  @Test func `both ciphers give the known answers`() throws {
    try KeyService.selfTest()
    #expect(KnownAnswer.all.map(\.suite) == [.aes256GCM, .xchacha20Poly1305])
  }

  @Test(arguments: 0..<2) func `one wrong digit of an answer fails the self-test`(index: Int) {
    var answers = KnownAnswer.all
    let digit = answers[index].envelopeHash.removeLast()
    answers[index].envelopeHash.append(digit == "0" ? "1" : "0")
    #expect(throws: StartError.selfTest) { try KeyService.selfTest(answers) }
  }
}
