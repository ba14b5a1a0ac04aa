#include "scan/connections/pick_connection.h"

#include <algorithm>
#include <map>
#include <utility>

#include "wire/checksum.h"

namespace tcpwhy::scan {
namespace {

// A SYN that is taken for illegal may turn out to begin the next connection: its packet is kept until then, of so many
// at most.
constexpr std::size_t most_pending = 4096;

// Damaged segments that are waited for to be sent again.
constexpr std::size_t most_awaited = 4096;

class Pass {
 public:
  // `first_frame`: the connection that begins with it, whatever the choice says; 0: not known yet.
  Pass(const Choice& choice, const PickOptions& options, std::uint64_t first_frame)
      : options_(options),
        choice_(choice),
        wanted_(first_frame),
        table_(options.table, 0, [this](Connection& connection, Left left) { on_end(connection, left); }) {}

  void run(FrameReader& reader) {
    Frame frame;
    for (;;) {
      const auto more = reader.next(frame);
      if (!more) {
        outcome_.stopped_by = more.error();
        break;
      }
      if (!*more) break;
      const wire::DissectedPacket& packet = frame.packet;
      if (packet.kind == wire::Dissection::tcp) take(frame);
      if (packet.kind == wire::Dissection::icmp_error)
        table_.take_icmp(frame.number, packet.segment, packet.icmp, packet.encapsulation);
    }
    table_.finish();
    number();
  }

  // The first frame of the connection that has the number, once all are known; 0: none has it.
  [[nodiscard]] std::uint64_t first_frame_of(std::uint64_t number) const {
    return number < first_frames_.size() ? first_frames_[number] : 0;
  }
  [[nodiscard]] std::uint64_t chosen() const { return chosen_; }
  PickOutcome outcome() { return std::move(outcome_); }

 private:
  void take(const Frame& frame) {
    const wire::TcpSegment& segment = frame.packet.segment;
    const std::int64_t at_ns = base::to_ns(frame.at);
    const TakenSegment taken = table_.take(frame.number, at_ns, segment, frame.packet.encapsulation);
    const Connection& connection = *taken.connection;
    const std::uint64_t first_frame = connection.tracker.first_frame();
    if (first_frame == frame.number || taken.verdict.has(tcp::mark::port_reused)) begin(connection);
    if (options_.packets != KeepPackets::none && taken.verdict.illegality == tcp::Illegality::syn_in_connection) {
      if (pending_packets_.size() >= most_pending) pending_packets_.erase(pending_packets_.begin());
      pending_packets_[frame.number] = {frame.at, {}, packet_of(frame)};
    }
    if (first_frame != chosen_ || chosen_ == 0) return;
    check(frame, taken);
    tcp::SeenSegment seen = seen_of(frame.number, at_ns, taken.from, segment, taken.verdict, connection.tracker);
    std::optional<recording::Event> packet;
    if (options_.packets != KeepPackets::none) packet = recording::Event{frame.at, {}, packet_of(frame)};
    keep(std::move(seen), std::move(packet));
  }

  static tcp::SeenSegment seen_of(std::uint64_t frame, std::int64_t at_ns, tcp::EndIndex from,
                                  const wire::TcpSegment& segment, const tcp::Verdict& verdict,
                                  const tcp::Tracker& tracker) {
    tcp::SeenSegment seen{
        .frame = frame,
        .at_ns = at_ns,
        .from = from,
        .segment = segment,
        .verdict = verdict,
        .ack = tracker.end(tcp::opposite(from)).based ? verdict.ack : segment.ack.value,
        .states = {tracker.end(tcp::EndIndex::first).state, tracker.end(tcp::EndIndex::second).state}};
    seen.segment.payload = {};
    return seen;
  }

  void begin(const Connection& connection) {
    const std::uint64_t first_frame = connection.tracker.first_frame();
    first_frames_.push_back(first_frame);
    const bool fits = wanted_ != 0 ? first_frame == wanted_ : fits_choice(connection);
    if (!fits) return;
    ++outcome_.matches;
    if (outcome_.candidates.size() < options_.most_candidates)
      outcome_.candidates.push_back({0, first_frame, connection.ends});
    if (outcome_.matches > 1) {  // nothing will be shown but their list
      chosen_ = 0;
      outcome_.picked.reset();
      return;
    }
    chosen_ = first_frame;
    checked_ = {};
    outcome_.picked.emplace();
    Picked& picked = *outcome_.picked;
    picked.seen.ends = connection.ends;
    if (options_.packets != KeepPackets::none) picked.packets.provenance.observed = {recording::Observation::packets};
    if (before_.frame == first_frame) begin_with_pending();
  }

  // Its SYN came earlier and was another connection's then.
  void begin_with_pending() {
    tcp::Tracker tracker;
    const auto verdict = tracker.observe({before_.at_ns, before_.frame, tcp::EndIndex::first, before_.segment});
    auto seen = seen_of(before_.frame, before_.at_ns, tcp::EndIndex::first, before_.segment, verdict, tracker);
    std::optional<recording::Event> packet;
    if (const auto kept = pending_packets_.find(before_.frame); kept != pending_packets_.end())
      packet = std::move(kept->second);
    if (packet || options_.packets == KeepPackets::none) keep(std::move(seen), std::move(packet));
  }

  [[nodiscard]] bool fits_choice(const Connection& connection) const {
    if (const auto* number = std::get_if<ByNumber>(&choice_)) return first_frames_.size() - 1 == number->number;
    const auto& end = std::get<EndPattern>(choice_);
    return std::ranges::any_of(connection.ends, [&](const auto& address) { return end.matches(address); });
  }

  // Its checksum, which is too dear to be looked at for all connections.
  void check(const Frame& frame, const TakenSegment& taken) {
    const wire::TcpSegment& segment = frame.packet.segment;
    Checked& checked = checked_[taken.from];
    if (const auto bad = checked.awaited.find(segment.seq.value);
        bad != checked.awaited.end() && taken.verdict.kind == tcp::Kind::retransmission) {
      if (checked.damaged++ == 0) checked.first_damaged = bad->second;
      checked.awaited.erase(bad);
    }
    const wire::Checksum sum = wire::checksum_of(frame.bytes, segment);
    if (sum == wire::Checksum::good) ++checked.good;
    if (sum != wire::Checksum::bad) return;
    ++checked.bad;
    if (checked.awaited.size() < most_awaited) checked.awaited.emplace(segment.seq.value, frame.number);
  }

  // Whose segments are mostly wrong was captured before its device completed them, or behind something that rewrites them.
  void note_damaged(ConnectionRecord& record, const Connection& connection) {
    const tcp::EndIndex first = tcp::opener_of(connection.tracker, connection.ends);
    for (const tcp::Side side : tcp::both_sides) {
      const Checked& checked = checked_[side == opener ? first : tcp::opposite(first)];
      if (checked.damaged == 0 || checked.good <= checked.bad) continue;
      record.ends[side].damaged = checked.damaged;
      record.ends[side].first_damaged = checked.first_damaged;
    }
  }

  // The head, and behind it the latest as a ring.
  void keep(tcp::SeenSegment seen, std::optional<recording::Event> packet) {
    auto& segments = outcome_.picked->seen.segments;
    auto& packets = outcome_.picked->packets.events;
    const std::size_t head = options_.most_segments - options_.most_segments / 4;
    if (segments.size() < options_.most_segments) {
      segments.push_back(std::move(seen));
      if (packet) packets.push_back(std::move(*packet));
      return;
    }
    ++outcome_.picked->seen.left_out;
    if (head == options_.most_segments) return;
    const std::size_t place = head + oldest_;
    segments[place] = std::move(seen);
    if (packet) packets[place] = std::move(*packet);
    oldest_ = (oldest_ + 1) % (options_.most_segments - head);
  }

  void on_end(Connection& connection, Left left) {
    before_ = {};
    if (const auto* pending = connection.tracker.pending_syn()) before_ = *pending;
    if (chosen_ == 0 || connection.tracker.first_frame() != chosen_) return;
    Picked& picked = *outcome_.picked;
    picked.record = record_of(connection, left);
    note_damaged(picked.record, connection);
    picked.seen.tracker = std::move(connection.tracker);
    picked.left = left;
    judge_reset(picked.seen);
    if (picked.seen.left_out == 0) return;
    const std::size_t head = options_.most_segments - options_.most_segments / 4;
    picked.seen.left_out_before = head;
    const auto turn = [&](auto& all) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(head);
      std::rotate(begin, begin + static_cast<std::ptrdiff_t>(oldest_), all.end());
    };
    turn(picked.seen.segments);
    if (!picked.packets.events.empty()) turn(picked.packets.events);
    oldest_ = 0;
  }

  // What came afterwards may have told who sent it.
  static void judge_reset(tcp::SeenConnection& seen) {
    const tcp::ResetSeen reset = seen.tracker.reset();
    const auto row = std::ranges::find(seen.segments, reset.frame, &tcp::SeenSegment::frame);
    if (reset.cause == tcp::ResetCause::none || row == seen.segments.end()) return;
    row->verdict.reset_cause = reset.cause;
    row->verdict.marks &= ~tcp::mark::assumed;
    if (reset.assumed) row->verdict.marks |= tcp::mark::assumed;
  }

  // With headers only, a segment that came in fragments is the packet that they made.
  recording::Packet packet_of(const Frame& frame) {
    const bool headers = options_.packets == KeepPackets::headers;
    const bool whole = headers && !frame.reassembled.empty();
    auto bytes = whole ? frame.reassembled : frame.bytes;
    const std::size_t length = whole ? bytes.size() : frame.original_length;
    // The payload, if any was captured, lies behind all headers.
    if (const auto payload = frame.packet.segment.payload; headers && !payload.empty())
      bytes = bytes.first(std::min(bytes.size(), static_cast<std::size_t>(payload.data() - bytes.data())));
    return {.interface = {interface(whole ? wire::LinkType::raw : frame.link_type)},
            .original_length = static_cast<std::uint32_t>(length),
            .bytes = {bytes.begin(), bytes.end()},
            .comments = {}};
  }

  // Interfaces with the link types that the packets have.
  std::uint32_t interface(wire::LinkType link_type) {
    const auto [known, is_new] = interfaces_.try_emplace(link_type, static_cast<std::uint32_t>(interfaces_.size()));
    return known->second;
  }

  void number() {
    outcome_.connections = first_frames_.size();
    std::ranges::sort(first_frames_);
    const auto rank = [&](std::uint64_t first_frame) {
      return static_cast<std::uint64_t>(std::ranges::lower_bound(first_frames_, first_frame) - first_frames_.begin());
    };
    for (Candidate& candidate : outcome_.candidates) candidate.number = rank(candidate.first_frame);
    std::ranges::sort(outcome_.candidates, {}, &Candidate::number);
    if (!outcome_.picked) return;
    outcome_.picked->seen.number = rank(chosen_);
    auto& interfaces = outcome_.picked->packets.interfaces;
    interfaces.resize(interfaces_.size());
    for (const auto& [link_type, index] : interfaces_) interfaces[index].link_type = link_type;
  }

  struct Checked {
    std::uint64_t good = 0, bad = 0, first_damaged = 0;
    std::uint32_t damaged = 0;                       // that were sent again
    std::map<std::uint32_t, std::uint64_t> awaited;  // the bad ones that were not: their numbers, and frames
  };

  const PickOptions& options_;
  const Choice& choice_;
  std::uint64_t wanted_, chosen_ = 0;
  std::size_t oldest_ = 0;  // in the ring
  PickOutcome outcome_;
  tcp::PerEnd<Checked> checked_;  // of the chosen connection
  std::vector<std::uint64_t> first_frames_;
  std::map<wire::LinkType, std::uint32_t> interfaces_;
  std::map<std::uint64_t, recording::Event> pending_packets_;
  tcp::Tracker::PendingSyn before_{};  // of the connection that ended last
  ConnectionTable table_;              // the last: its callback uses the others
};

}  // namespace

base::Result<PickOutcome> pick_connection(const OpenCapture& open, const Choice& choice, const PickOptions& options) {
  auto reader = open();
  if (!reader) return std::unexpected(reader.error());
  Pass pass(choice, options, 0);
  pass.run(*reader);
  if (const auto known = reader->unread_links().status(); !known) return std::unexpected(known.error());
  const auto* number = std::get_if<ByNumber>(&choice);
  const std::uint64_t meant = number == nullptr ? 0 : pass.first_frame_of(number->number);
  if (number == nullptr || meant == pass.chosen()) return pass.outcome();
  auto again = open();
  if (!again) return std::unexpected(again.error());
  Pass second(choice, options, meant);
  second.run(*again);
  return second.outcome();
}

}  // namespace tcpwhy::scan
