// What the two SYNs agreed on, and what one of them wanted in vain: options, ECN, Fast Open, signatures; a port used again.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "explain/story.h"
#include "explain/texts/drop_reasons.h"

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;
using timeline::other;

struct Syns {
  const Segment* syn = nullptr;
  const Segment* answer = nullptr;  // the SYN-ACK
};

Syns syns_of(const Story& story) {
  Syns found;
  for (const auto s : story.connection.segments) {
    const Segment& segment = story.timeline.segments[s];
    if (!segment.tcp.flags.syn()) continue;
    if (segment.from == opener && found.syn == nullptr) found.syn = &segment;
    if (segment.from == listener && segment.tcp.flags.ack()) {
      found.answer = &segment;
      break;
    }
  }
  return found;
}

// An option counts only if both SYNs carry it. The SYN-ACK may not offer what the SYN did not, so the opener tells.
struct OptionRow {
  std::string_view name;
  bool (*has)(const wire::TcpOptions&);
};
constexpr OptionRow option_rows[] = {
    {"SACK", [](const wire::TcpOptions& o) { return o.sack_permitted; }},
    {"timestamps", [](const wire::TcpOptions& o) { return o.timestamps.has_value(); }},
    {"window scale", [](const wire::TcpOptions& o) { return o.window_scale.has_value(); }},
};

void find_missing_options(const Story& story, const Syns& syns, Findings& findings) {
  for (const Side side : {opener, listener}) {
    const auto& own = (side == opener ? syns.syn : syns.answer)->tcp.options;
    const auto& others = (side == opener ? syns.answer : syns.syn)->tcp.options;
    if (own.malformed || others.malformed) return;
    std::string missing;
    for (const auto& row : option_rows)
      // A SYN without an option: nobody may use it. A SYN-ACK without one that the SYN had: refused.
      if (!row.has(own) && (side == opener || row.has(others)))
        missing += (missing.empty() ? "" : ", ") + std::string(row.name);
    if (missing.empty()) continue;
    findings.add("open.option_missing", story, Grade::observed, {syns.syn->departed, syns.answer->departed}).slots = {
        {"who", story.name(side)}, {"peer", story.name(other(side))}, {"options", missing}};
  }
}

bool has_bits(const Segment& segment, std::uint16_t bits) { return (segment.tcp.flags.bits & bits) == bits; }

void find_ecn(const Story& story, const Syns& syns, Findings& findings) {
  using wire::TcpFlags;
  if (!has_bits(*syns.syn, TcpFlags::ece_bit | TcpFlags::cwr_bit)) return;
  const bool agreed = has_bits(*syns.answer, TcpFlags::ece_bit) && !has_bits(*syns.answer, TcpFlags::cwr_bit);
  if (agreed)
    findings.add("open.ecn", story, Grade::observed, {syns.syn->departed, syns.answer->departed}).slots = {
        {"who", story.name(opener)}, {"peer", story.name(listener)}};
}

void find_fast_open(const Story& story, const Syns& syns, Findings& findings) {
  const auto asked = syns.syn->tcp.options.fast_open_cookie_length;
  if (!asked) return;
  const auto given = syns.answer->tcp.options.fast_open_cookie_length;
  const bool data_taken =
      tcp::at_or_before(tcp::advance(syns.syn->tcp.seq, syns.syn->tcp.sequence_length()), syns.answer->tcp.ack);
  const std::vector<EventId> evidence = {syns.syn->departed, syns.answer->departed};
  if (*asked == 0 && given && *given > 0)
    findings.add("open.fast_open_cookie", story, Grade::observed, evidence).slots = {
        {"who", story.name(opener)}, {"peer", story.name(listener)}, {"bytes", std::int64_t{*given}}};
  else if ((*asked == 0 && !given) || !data_taken)
    findings.add("open.fast_open_refused", story, Grade::observed, evidence).slots = {{"who", story.name(opener)},
                                                                                      {"peer", story.name(listener)}};
}

// The counter of the namespace where nobody made a call on the connection, whichever that is.
std::optional<EventId> refusal_counted(const Story& story, base::WallTime when) {
  for (const EventId id : story.timeline.all<recording::CounterMoved>()) {
    const auto& moved = story.timeline.get<recording::CounterMoved>(id);
    if (moved.name == "TcpExt.TCPMD5Unexpected" && moved.not_before <= when && story.time(id) >= when) return id;
  }
  return std::nullopt;
}

// A segment that its receiver threw away for its signature, or for the lack of one.
void find_refused_signature(const Story& story, Findings& findings) {
  std::vector<EventId> evidence;
  std::string reason;
  std::optional<Side> from;
  std::int64_t times = 0;
  for (const Side side : {opener, listener})
    for (const Segment* segment : story.segments(side)) {
      const auto drop = story.drop_of(*segment);
      if (!drop) continue;
      const auto& why = story.timeline.get<recording::SegmentDropped>(*drop).reason;
      if (drop_reason(why).kind != DropKind::signature) continue;
      if (!from) from = side, reason = why;
      ++times;
      if (evidence.size() < 16) evidence.push_back(segment->departed), evidence.push_back(*drop);
    }
  Grade grade = Grade::observed;
  if (!from) {  // without the kernel's word: its counter, and a signed SYN that nobody answered
    const auto& syns = story.segments(opener);
    if (syns.empty() || !syns.front()->tcp.options.md5_signature || !story.segments(listener).empty() ||
        !syns.front()->arrived)
      return;
    const auto counter = refusal_counted(story, story.time(*syns.front()->arrived));
    if (!counter) return;
    from = opener, reason = "TCPMD5Unexpected", grade = Grade::derived;
    times = static_cast<std::int64_t>(syns.size());
    evidence = {syns.front()->departed, *counter};
  }
  findings.add("open.signature_refused", story, grade, evidence).slots = {
      {"who", story.name(*from)}, {"peer", story.name(other(*from))}, {"times", times}, {"reason", reason}};
}

// An IPv6 socket that talks IPv4, where the peer is ::ffff:a.b.c.d.
void find_mapped(const Story& story, Findings& findings) {
  const auto& peer = story.connection.sides[opener].address.unmapped();
  if (peer.ip.family != wire::IpFamily::v4) return;
  const auto is_v6 = [](const std::optional<wire::SocketAddress>& address) {
    return address && address->ip.family == wire::IpFamily::v6;
  };
  for (const Call* call : story.calls(listener, Effect::accepts)) {
    const auto* returned = story.timeline.returned(*call);
    if (returned == nullptr || (!is_v6(story.timeline.entered(*call).local) && !is_v6(returned->remote))) continue;
    findings.add("open.v4_mapped", story, Grade::observed, {call->entered, *call->returned}).slots = {
        {"who", story.name(listener)},
        {"peer", story.name(opener)},
        {"address", fmt::format("[::ffff:{}]:{}", peer.ip, peer.port)}};
    return;
  }
}

}  // namespace

void find_agreeing(const Story& story, Findings& findings) {
  const Syns syns = syns_of(story);
  find_refused_signature(story, findings);
  find_mapped(story, findings);
  if (syns.syn == nullptr || syns.answer == nullptr || syns.answer->departed < syns.syn->departed) return;
  find_missing_options(story, syns, findings);
  find_ecn(story, syns, findings);
  find_fast_open(story, syns, findings);
  if (syns.syn->tcp.options.md5_signature && syns.answer->tcp.options.md5_signature)
    findings.add("open.signed", story, Grade::observed, {syns.syn->departed, syns.answer->departed}).slots = {
        {"who", story.name(opener)}, {"peer", story.name(listener)}};
}

// A SYN between two endpoints of which the one that opens still keeps an entry in TIME-WAIT of the connection before.
void find_ports_again(const Timeline& timeline, Findings& findings) {
  std::map<std::pair<wire::SocketAddress, wire::SocketAddress>, timeline::ConnectionIndex> latest;
  for (timeline::ConnectionIndex i = 0; i < timeline.connections.size(); ++i) {
    const Connection& connection = timeline.connections[i];
    if (connection.without_packets() || connection.began_before_capture) continue;
    const auto& sides = connection.sides;
    const auto key = std::pair(sides[opener].address.unmapped(), sides[listener].address.unmapped());
    const auto earlier = latest.find(key);
    if (earlier == latest.end()) {
      latest.emplace(key, i);
      continue;
    }
    const auto& changes = timeline.connections[earlier->second].changes;
    earlier->second = i;
    const EventId syn = timeline.segments[connection.segments.front()].departed;
    // A sample may show the entry gone when the new SYN has long left.
    const auto last = std::find_if(changes.rbegin(), changes.rend(), [&](const timeline::SideChange& change) {
      return change.side == opener && change.event < syn;
    });
    if (last == changes.rend() || last->to != tcp::State::time_wait) continue;
    findings.add("open.time_wait_reused", i, Grade::derived, {last->event, syn}).slots = {
        {"who", sides[opener].name},
        {"port", std::int64_t{sides[opener].address.port}},
        {"after", timeline.time_of(syn) - timeline.time_of(last->event)}};
  }
}

}  // namespace tcpwhy::explain
