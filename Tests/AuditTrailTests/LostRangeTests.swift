import ChatelaineAuditTrail
import ChatelaineVocabulary
import Testing

/// What is lost, as text: one spelling, and nothing else is taken.
struct LostRangeTests {
  static let all = [
    LostRange(entries: EntryPlace(epoch: 1, sequence: 104)...EntryPlace(epoch: 2, sequence: 9), generations: nil, of: [1]),
    LostRange(entries: nil, generations: 5...7, of: [2]),
    LostRange(entries: EntryPlace(epoch: 1, sequence: 0)...EntryPlace(epoch: 1, sequence: 0), generations: 1...1, of: []),
  ]

  @Test(arguments: all) func `What is written is read`(_ lost: LostRange) { #expect(LostRange(lost.text) == lost) }

  @Test(arguments: [
    "", ",", "9f3c21ab", "log:1/4-1/9", "log:1/9-1/4,9f3c21ab", "log:0/4-1/9,9f3c21ab", "log:1/04-1/9,9f3c21ab",
    "store:5-7,log:1/4-1/9,9f3c21ab", "store:5-7,store:5-7,9f3c21ab", "store:+5-7,9f3c21ab", "store:5-7,9F3C21AB",
    "store:5-7,9f3c21a", "store:5-7,9f3c21ab,", "store:5-7 ,9f3c21ab", "log:1/4-1/281474976710656,9f3c21ab",
  ]) func `Anything else is refused`(_ text: String) { #expect(LostRange(text) == nil) }

  @Test func `Its last part changes with the state that it was reckoned from`() {
    #expect(LostRange(entries: nil, generations: 5...7, of: [3]) != Self.all[1])
  }

  @Test func `A place is one number below 2^63, and a sequence of the first epoch is itself`() {
    for (epoch, sequence) in [(1, 0), (1, 1 << 48 - 1), (2, 0), (32_768, 1 << 48 - 1)] as [(UInt32, UInt64)] {
      let place = EntryPlace(epoch: epoch, sequence: sequence)
      #expect(EntryPlace(stored: place.stored) == place && place.stored < 1 << 63)
      if epoch == 1 { #expect(place.stored == sequence) }
    }
  }
}
