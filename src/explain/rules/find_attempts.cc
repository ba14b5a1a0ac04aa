// Opening that came to nothing: what became of the SYN, or why none left. One errno has several causes: what the kernel said of the very
// SYN (SegmentDropped) comes first, then what was seen of an answer, then the errno; where that leaves several, they are named.
#include <algorithm>
#include <array>
#include <cerrno>
#include <ranges>

#include <fmt/format.h>

#include "base/units.h"

#include "explain/rules/attempt.h"
#include "explain/texts/drop_reasons.h"

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;

// More would say nothing more, and each of many calls may have as many.
constexpr std::ptrdiff_t syns_as_evidence = 16;
constexpr std::array unreachable = {EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, EPROTO, ENOPROTOOPT};

// A segment of the handshake that was thrown away on this machine: by somebody who wanted it, or for want of room.
struct Thrown {
  EventId drop, segment;  // segment: invalid where no tap saw it
  bool answer = false;    // the SYN-ACK
};

class FailedAttempt {
 public:
  FailedAttempt(const Story& story, const Attempt& attempt, bool queue_was_full, Findings& findings)
      : story_(story),
        attempt_(attempt),
        queue_was_full_(queue_was_full),
        findings_(findings),
        syns_(syns_of(story)),
        reset_(story.reset_of(listener)) {
    evidence_ = {attempt_.told};
    if (attempt_.connect != nullptr) evidence_.push_back(attempt_.connect->entered);
    for (const Segment* syn : syns_ | std::views::take(syns_as_evidence)) evidence_.push_back(syn->departed);
  }

  void tell() {
    if (const auto thrown = find_thrown())
      tell_thrown(*thrown);
    else if (refused_by_reset())
      tell_refused();
    else if (attempt_.error == 0)
      tell_given_up();
    else if (attempt_.error == ECONNREFUSED)
      add(story_.connection.without_packets() ? "open.refused_unseen" : "open.refused_by_icmp",
          story_.connection.without_packets() ? Grade::assumed : Grade::derived);
    else if (attempt_.error == ETIMEDOUT)
      add("open.timed_out", Grade::observed);
    else if (std::ranges::count(unreachable, attempt_.error) > 0)
      tell_unreachable();
    else if (attempt_.error == EADDRNOTAVAIL)
      tell_no_address();
    else if (attempt_.error == EACCES || attempt_.error == EPERM)
      add("open.not_permitted", Grade::assumed);
    else if (attempt_.error != EADDRINUSE)  // find_call_errors() tells who holds the port
      add("open.failed", Grade::observed);
  }

 private:
  // --- What the kernel said of the SYN -----------------------------------------------------------------------------

  [[nodiscard]] const recording::SegmentDropped& what(EventId drop) const {
    return story_.timeline.get<recording::SegmentDropped>(drop);
  }
  [[nodiscard]] static bool explains(DropKind kind) {
    return kind == DropKind::firewall || kind == DropKind::resource || kind == DropKind::other;
  }

  [[nodiscard]] std::optional<Thrown> find_thrown() const {
    for (const Segment* syn : syns_)
      if (const auto drop = story_.drop_of(*syn); drop && explains(drop_reason(what(*drop).reason).kind))
        return Thrown{*drop, syn->departed};
    for (const auto& kernel : story_.connection.kernel) {  // no tap saw it
      const auto* drop = std::get_if<recording::SegmentDropped>(&story_.timeline.event(kernel.event).what);
      if (drop == nullptr || !drop->flags.syn() || drop->flags.ack()) continue;
      if ((drop->sent || story_.connection.without_packets()) && explains(drop_reason(drop->reason).kind))
        return Thrown{kernel.event, {}};
    }
    for (const Segment* segment : story_.segments(listener))
      if (segment->tcp.flags.syn())
        if (const auto drop = story_.drop_of(*segment); drop && explains(drop_reason(what(*drop).reason).kind))
          return Thrown{*drop, segment->departed, true};
    return std::nullopt;
  }

  void tell_thrown(const Thrown& thrown) {
    const auto& drop = what(thrown.drop);
    const DropReason& reason = drop_reason(drop.reason);
    evidence_.push_back(thrown.drop);
    if (thrown.segment.valid()) evidence_.push_back(thrown.segment);
    const bool answered = reset_ != nullptr && first_syn_ack(story_) == nullptr;
    if (answered) evidence_.push_back(reset_->departed);
    const bool silent = attempt_.error == 0 || attempt_.error == ETIMEDOUT;
    std::string_view rule = drop.sent ? "open.firewall_drop_out" : "open.firewall_drop_in";
    if (reason.kind != DropKind::firewall)
      rule = "open.thrown_away";
    else if (answered)
      rule = "open.firewall_reset";
    else if (!silent)
      rule = "open.firewall_icmp";
    Finding& finding = add(rule, answered || !silent ? Grade::derived : Grade::observed);
    finding.slots["segment"] = thrown.answer ? "SYN-ACK" : "SYN";
    put_drop(finding.slots, drop);
  }

  // --- An answer that refused --------------------------------------------------------------------------------------

  // The kernel's own word that it was its TCP that refused, where nobody listens.
  [[nodiscard]] std::optional<EventId> no_socket() const {
    for (const Segment* syn : syns_)
      if (const auto drop = story_.drop_of(*syn); drop && drop_reason(what(*drop).reason).kind == DropKind::no_socket)
        return drop;
    for (const auto& kernel : story_.connection.kernel) {
      const auto& event = story_.timeline.event(kernel.event).what;
      const auto* reset = std::get_if<recording::Reset>(&event);
      if (reset != nullptr && reset->sent && reset->reason == "NO_SOCKET" && kernel.side == listener)
        return kernel.event;
      const auto* drop = std::get_if<recording::SegmentDropped>(&event);
      if (drop != nullptr && drop->flags.syn() && drop->reason == "NO_SOCKET") return kernel.event;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<EventId> reset_received() const {
    for (const auto& kernel : story_.connection.kernel)
      if (std::holds_alternative<recording::Reset>(story_.timeline.event(kernel.event).what)) return kernel.event;
    return std::nullopt;
  }

  [[nodiscard]] bool refused_by_reset() const {
    if (attempt_.error != ECONNREFUSED || first_syn_ack(story_) != nullptr) return false;
    return story_.connection.without_packets() ? reset_received().has_value() : reset_ != nullptr && !syns_.empty();
  }

  void tell_refused() {
    const auto kernels_word = no_socket();
    if (kernels_word) evidence_.push_back(*kernels_word);
    if (reset_ != nullptr)
      evidence_.push_back(reset_->departed);
    else if (const auto reset = reset_received())
      evidence_.push_back(*reset);
    if (tell_refused_though_listening(kernels_word.has_value())) return;
    const Grade grade = kernels_word ? Grade::observed : attempt_.connect != nullptr ? Grade::derived : Grade::assumed;
    add(attempt_.later ? "open.refused_later" : "open.refused", grade);
  }

  // A socket listens on that port: for another family, on another address, or behind a firewall.
  bool tell_refused_though_listening(bool by_tcp) {
    const auto port = story_.connection.sides[listener].address.port;
    const auto listening = story_.timeline.lookups.listening_at(port, attempt_.told, story_.timeline.calls);
    if (!listening) return false;
    const Call& call = story_.timeline.calls[*listening];
    evidence_.push_back(call.entered);
    Finding& finding = add("open.refused_though_listening", by_tcp ? Grade::derived : Grade::assumed);
    finding.slots["address"] = wire::to_string(*story_.timeline.entered(call).local);
    put(finding.slots, "or_firewall",
        by_tcp ? Text{} : Text{", or a firewall answered in its place", "，或者是防火墙代为应答"});
    return true;
  }

  // --- No answer, no way -------------------------------------------------------------------------------------------

  void tell_given_up() {
    const auto since = attempt_.connect->entered;
    const bool again = syns_.size() > 1;
    const bool waited = story_.time(attempt_.told) - story_.time(since) >= patience;
    add(again || waited ? "open.given_up" : "open.abandoned", attempt_.certain ? Grade::observed : Grade::assumed);
  }

  // The kernel tells of every socket that begins to connect, and told of none: nothing was sent.
  [[nodiscard]] bool sent_nothing() const {
    using enum recording::Observation;
    const auto& observed = story_.timeline.recording->provenance.observed;
    if (!story_.connection.without_packets() || !observed.contains(states_kernel)) return false;
    return std::ranges::none_of(story_.connection.kernel, [&](const auto& kernel) {
      const auto& event = story_.timeline.event(kernel.event).what;
      return std::holds_alternative<recording::SocketState>(event) ||
             std::holds_alternative<recording::SegmentCause>(event);
    });
  }

  void tell_unreachable() {
    const bool at_once = attempt_.connect != nullptr && !attempt_.later;
    const bool sampled = std::ranges::any_of(story_.connection.changes, [](const auto& change) {
      return change.to == tcp::State::syn_sent || change.from == tcp::State::syn_sent;
    });
    if (sent_nothing())
      add("open.no_route", Grade::observed);
    else if (!syns_.empty() || sampled || !at_once)
      add("open.unreachable", Grade::observed);
    else  // nobody saw whether a SYN left
      add("open.no_way", Grade::assumed);
  }

  // --- EADDRNOTAVAIL -----------------------------------------------------------------------------------------------

  // The local address that bind() had given it.
  [[nodiscard]] std::optional<wire::SocketAddress> bound_to() const {
    if (attempt_.connect == nullptr) return std::nullopt;
    const auto& local = story_.timeline.entered(*attempt_.connect).local;
    return local && local->port != 0 ? local : std::nullopt;
  }

  void tell_no_address() {
    if (const auto local = bound_to()) return tell_pair_in_use(*local);
    const auto& settings = story_.timeline.recording->provenance.settings;
    const auto addresses = settings.find("addresses");
    const auto& remote = story_.connection.sides[listener].address;
    const bool v6 = remote.ip.family == wire::IpFamily::v6 && remote.unmapped().ip.family == wire::IpFamily::v6;
    if (v6 && addresses != settings.end() && addresses->second.find(':') == std::string::npos)
      add("open.family_off", Grade::derived);
    else
      add("open.no_local_address", Grade::assumed);
  }

  void tell_pair_in_use(const wire::SocketAddress& local) {
    const auto& remote = story_.connection.sides[listener].address;
    for (const auto& [_, index] : story_.timeline.lookups.connections_between(local, remote) | std::views::reverse) {
      if (index == story_.index) continue;
      const Connection& other = story_.timeline.connections[index];
      if (other.began >= story_.time(attempt_.told) || other.calls.empty()) continue;
      const Call& first = story_.timeline.calls[other.calls.front()];
      evidence_.push_back(first.entered);
      Finding& finding = add("open.pair_in_use", Grade::derived);
      const bool as_opener = same_endpoint(other.sides[opener].address, local);
      finding.slots["holder"] = other.sides[as_opener ? opener : listener].name;
      put_pair(finding.slots, local, remote);
      finding.slots["began"] = story_.time(attempt_.told) - other.began;
      return;
    }
    put_pair(add("open.pair_or_time_wait", Grade::assumed).slots, local, remote);
  }

  static void put_pair(Slots& slots, const wire::SocketAddress& local, const wire::SocketAddress& remote) {
    slots["local"] = wire::to_string(local), slots["remote"] = wire::to_string(remote);
  }

  // --- Words -------------------------------------------------------------------------------------------------------

  Finding& add(std::string_view rule, Grade grade) {
    Finding& finding = findings_.add(rule, story_, grade, evidence_);
    finding.slots = {{"who", story_.name(opener)},
                     {"opener", story_.name(opener)},
                     {"peer", story_.name(listener)},
                     {"port", std::int64_t{story_.connection.sides[listener].address.port}},
                     {"call", attempt_.connect == nullptr ? "connect()" : story_.line(*attempt_.connect)},
                     {"error", error_words(attempt_.error)},
                     {"after", after()}};
    put(finding.slots, "counted", syn_count(story_));
    put(finding.slots, "advice", advice());
    put(finding.slots, "outcome", outcome());
    return finding;
  }

  [[nodiscard]] base::Duration after() const {
    const auto since = attempt_.connect != nullptr ? attempt_.connect->entered : syns_.front()->departed;
    return story_.time(attempt_.told) - story_.time(since);
  }

  // What to do about silence.
  [[nodiscard]] OwnedText advice() const {
    if (queue_was_full_)
      return {"the accept queue was full, as said below: find what keeps the listener from accept()",
              "如下所述，accept 队列已满：查明是什么让监听者没有调用 accept()"};
    return {
        "a firewall that drops, a host that is down, or a listener whose accept queue is full: look at the other side",
        "防火墙丢弃、主机不在线，或监听者的 accept 队列已满：检查对端"};
  }

  [[nodiscard]] OwnedText outcome() const {
    const auto waited = base::in_words(after());
    if (attempt_.given_up != nullptr) return {"the program gave up after " + waited, "程序在 " + waited + " 后放弃"};
    const auto error = error_words(attempt_.error);
    return {error + " after " + waited, waited + " 后得到 " + error};
  }

  const Story& story_;
  const Attempt& attempt_;
  bool queue_was_full_;
  Findings& findings_;
  std::vector<const Segment*> syns_;
  const Segment* reset_;
  std::vector<EventId> evidence_;
};

void find_interrupted(const Story& story, Findings& findings) {
  for (const Call* call : story.calls(opener, Effect::connects))
    if (story.failed_with(*call, EINTR)) {
      auto& slots = findings.add("open.interrupted", story, Grade::observed, {call->entered, *call->returned}).slots;
      slots = {{"who", story.name(opener)},
               {"call", story.line(*call)},
               {"after", story.time(*call->returned) - story.time(call->entered)}};
      put(slots, "counted", syn_count(story));
    }
}

}  // namespace

void find_attempts(const Story& story, bool queue_was_full, Findings& findings) {
  if (story.connection.of_one_socket() && was_answered(story)) return;
  for (const Attempt& attempt : failed_attempts(story)) FailedAttempt(story, attempt, queue_was_full, findings).tell();
  find_interrupted(story, findings);
}

}  // namespace tcpwhy::explain
