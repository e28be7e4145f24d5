import ChatelaineAccessPolicy
import Testing

@Suite("Names of certificates")
struct CertificateNameTests {
  @Test("A name is read as it is written", arguments: [
    "spiffe://acme.example/billing", "spiffe://acme.example", "spiffe://a_b/ns/prod/sa/Web-1_2.x", "dns:billing.acme.example",
    "dns:localhost", "dns:a-1.b",
  ])
  func read(_ text: String) { #expect(CertificateName(text)?.text == text) }

  @Test("What is no SPIFFE ID is none, whatever else it may be", arguments: [
    "", "spiffe:", "spiffe://", "spiffe:///x", "spiffe://acme.example/", "spiffe://acme.example//x", "spiffe://acme.example/.",
    "spiffe://acme.example/../x", "spiffe://ACME.example/x", "SPIFFE://acme.example/x", "spiffe://acme.example:1/x",
    "spiffe://u@acme.example/x", "spiffe://acme.example/x?y", "spiffe://acme.example/x#y", "spiffe://acme.example/%41",
    "spiffe://acme.example/x\0", "spiffe://acme.example/*", "spiffe://acme.example/é", "https://acme.example/x",
  ])
  func noID(_ text: String) {
    #expect(CertificateName(spiffe: Array(text.utf8)) == nil)
    #expect(CertificateName(text) == nil)
  }

  @Test("What is no host's name is none", arguments: [
    "", ".", "a.", ".a", "a..b", "-a", "a-", "*.acme.example", "a b", "a_b", "a\0.acme.example", "é.example", "a/b",
    String(repeating: "a", count: 64),
  ])
  func noHost(_ text: String) {
    #expect(CertificateName(dns: Array(text.utf8)) == nil)
    #expect(CertificateName("dns:" + text) == nil)
  }

  @Test("A certificate's host name in upper case is the one in lower case; a policy spells it in one way")
  func oneCase() {
    #expect(CertificateName(dns: Array("Billing.ACME.example".utf8)) == CertificateName("dns:billing.acme.example"))
    #expect(CertificateName("dns:Billing.acme.example") == nil)
  }

  @Test("A name too long for the log is none; one that just fits is one")
  func length() {
    let prefix = "spiffe://acme.example/"
    let path = String(repeating: "a", count: CertificateName.lengthMax - prefix.utf8.count)
    #expect(CertificateName(prefix + path) != nil && CertificateName(prefix + path + "a") == nil)
  }

  @Test("A rule about a certificate's name is about whoever has it, and about no user; the log shows the name that matched")
  func policy() throws {
    let (spiffe, host) = try (#require(CertificateName("spiffe://a/b")), #require(CertificateName("dns:b")))
    let rule = PolicyRule(
      name: "one", role: .application, principals: [.certificate(host)], permissions: [.encrypt])
    let policy = try AccessPolicy(rules: [rule])
    let (both, other) = (Principal(certificate: [spiffe, host]), Principal(certificate: [spiffe]))
    #expect(policy.grants(to: both).grant(.encrypt) != nil && policy.grants(to: other).grant(.encrypt) == nil)
    #expect(policy.grants(to: Principal(uid: .max, gid: .max)).grant(.encrypt) == nil)
    #expect(policy.text(of: both) == Array("dns:b".utf8) && policy.text(of: other) == Array("spiffe://a/b".utf8))
    #expect(policy.text(of: Principal(uid: 7, gid: 7)) == Array("uid:7".utf8))
  }

  @Test("A certificate's holder has no uid that a rule could be about")
  func noUser() throws {
    let principal = Principal(certificate: [try #require(CertificateName("dns:b"))])
    #expect(!PrincipalPattern.uid(0).matches(principal) && !PrincipalPattern.gid(0).matches(principal))
  }
}
