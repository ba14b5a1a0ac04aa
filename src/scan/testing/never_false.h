// For tests: what is said of a capture may become less or less sure where it has less, or more than the network had; it never becomes false.
// The laboratory's own capture is what it is held against: scan/connections/two_stacks_test.cc holds that one against the books of the link.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scan/connections/connection_table.h"
#include "scan/connections/problems.h"
#include "scan/testing/derived_captures.h"

namespace tcpwhy::scan::testing {

// --- what is said --------------------------------------------------------------------------------------------

struct EndState {
  wire::SocketAddress address;
  tcp::State state = tcp::State::not_seen;
};

struct SegmentSaid {
  tcp::Verdict verdict;
  std::size_t connection = 0;
  std::array<EndState, 2> states;  // after it
};

struct Said {
  std::vector<SegmentSaid> segments;  // of the packets, one each
  struct OfConnection {
    ConnectionRecord record;
    std::vector<Problem> problems;
  };
  std::vector<std::optional<OfConnection>> connections;
};

inline Said say(const Packets& packets) {
  Said said;
  std::map<const Connection*, std::size_t> living;
  ConnectionTable table({}, 1, [&](Connection& connection, Left left) {
    const auto found = living.find(&connection);
    if (found == living.end()) return;  // another took all its segments
    const ConnectionRecord record = record_of(connection, left);
    said.connections[found->second] = {record, problems_of(record)};
    living.erase(found);
  });
  std::uint64_t number = 0;
  for (const Packet& packet : packets) {
    SegmentSaid of_segment;
    ++number;
    if (packet.icmp) {
      table.take_icmp(number, packet.segment, *packet.icmp, packet.around);
    } else {
      const TakenSegment taken = table.take(number, packet.at_ns, packet.segment, packet.around);
      const auto [place, is_new] = living.try_emplace(taken.connection, said.connections.size());
      if (is_new) said.connections.emplace_back();
      of_segment = {.verdict = taken.verdict, .connection = place->second, .states = {}};
      for (std::size_t i = 0; i < 2; ++i)
        of_segment.states[i] = {taken.connection->ends[tcp::both_ends[i]],
                                taken.connection->tracker.end(tcp::both_ends[i]).state};
    }
    said.segments.push_back(of_segment);
  }
  table.finish(packets.empty() ? 0 : std::ranges::max(packets, {}, &Packet::at_ns).at_ns);
  return said;
}

// --- the truth -----------------------------------------------------------------------------------------------

// The laboratory's capture, and what is so.
class Truth {
 public:
  explicit Truth(Packets packets) : packets_(std::move(packets)), said_(say(packets_)) {
    std::map<std::pair<std::size_t, wire::SocketAddress>, std::uint32_t> so_far;
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      places_[packets_[i].origin] = i;
      if (!packets_[i].is_tcp()) continue;
      const SegmentSaid& said = said_.segments[i];
      const tcp::Verdict& verdict = said.verdict;
      for (std::size_t k = 0; k < 2; ++k) {
        auto& states = so_far[{said.connection, said.states[k].address}];
        const tcp::Move& move =
            said.states[k].address == packets_[i].segment.source ? verdict.sender : verdict.receiver;
        for (const tcp::State state : {move.via, move.to, said.states[k].state})
          states |= 1U << static_cast<unsigned>(state);
      }
      been_in_.push_back(so_far);
      of_place_[i] = been_in_.size() - 1;
    }
  }

  [[nodiscard]] const Packets& packets() const { return packets_; }
  [[nodiscard]] const Said& said() const { return said_; }
  [[nodiscard]] const SegmentSaid& of(std::uint64_t origin) const { return said_.segments[places_.at(origin)]; }
  // Whether this end was in this state at some time until this frame of the capture.
  [[nodiscard]] bool was_in(std::uint64_t until_origin, const EndState& end, std::size_t connection) const {
    const auto& states = been_in_[of_place_.at(places_.at(until_origin))];
    const auto found = states.find({connection, end.address});
    return found != states.end() && (found->second >> static_cast<unsigned>(end.state) & 1U) != 0;
  }

 private:
  Packets packets_;
  Said said_;
  std::map<std::uint64_t, std::size_t> places_;
  std::map<std::size_t, std::size_t> of_place_;
  std::vector<std::map<std::pair<std::size_t, wire::SocketAddress>, std::uint32_t>> been_in_;  // after each segment
};

// --- the relation --------------------------------------------------------------------------------------------

// Why what is said is false; empty: it is not.
using Falsehood = std::string;

inline bool is_pure_ack(tcp::Kind kind) {
  using enum tcp::Kind;
  constexpr tcp::Kind all[] = {ack,        duplicate_ack,  window_update, challenge_ack,
                               keep_alive, keep_alive_ack, window_probe,  window_probe_ack};
  return std::ranges::find(all, kind) != std::end(all);
}
inline bool is_first_time(tcp::Kind kind) {
  using enum tcp::Kind;
  return kind == syn || kind == syn_ack || kind == data || kind == fin || kind == ack;
}

// Whether `said` claims no more than the truth does.
inline bool claims_no_more(const tcp::Verdict& said, const tcp::Verdict& truth, const Packet& packet,
                           const Derivation& how) {
  using enum tcp::Kind;
  const bool assumed = said.has(tcp::mark::assumed);
  const bool was_repeated = truth.kind == retransmission || truth.kind == duplicate || truth.kind == reordered;
  // What is there twice may be told as being there twice, and which of the two is the copy does not show.
  if (packet.is_copy && (said.kind == duplicate || said.kind == reordered)) return true;
  // But a copy of text is not that text once more. (Resets, ACKs and what is illegal may be sent twice alike.)
  const bool has_text = truth.kind == syn || truth.kind == syn_ack || truth.kind == data || truth.kind == fin ||
                        truth.kind == duplicate || truth.kind == reordered;
  if (packet.is_copy && has_text) return said.kind == retransmission && assumed && how.less_identity;
  if (said.kind == truth.kind) return true;
  // Nothing is told of it but that it is there; or how it differs from the one before it, which is another one here.
  if (is_pure_ack(truth.kind) && (said.kind == ack || (assumed && is_pure_ack(said.kind)))) return true;
  // Whether a window opens by itself or when it is asked is told by what stands before it.
  if (said.kind == window_probe_ack && truth.kind == window_update) return how.moves;
  const bool differs = said.kind == window_update || said.kind == duplicate_ack;
  if (differs && is_pure_ack(truth.kind)) return how.lacks || how.moves || how.copies;
  // What it repeats or what overtook it is not there.
  if (was_repeated && is_first_time(said.kind)) return how.lacks || how.moves;
  if (truth.kind == retransmission && (said.kind == duplicate || said.kind == reordered)) return assumed;
  // Without numbers and stamps nothing tells apart what was sent again and what came late or twice.
  if (how.less_identity && said.kind == retransmission && was_repeated) return assumed;
  if (said.kind == reordered) return how.moves || (how.lacks && assumed && was_repeated);
  if (truth.kind == illegal && said.kind == reset) return assumed;
  return false;
}

inline bool claims_no_more(tcp::RetransmissionReason said, tcp::RetransmissionReason truth, bool assumed) {
  using enum tcp::RetransmissionReason;
  if (said == truth || said == unknown) return true;
  // It follows a loss; of which sign its sender had is said nothing.
  if (said == recovery) return truth != timeout && truth != tail_loss_probe;
  if (said == sack_hole && truth == fast)
    return true;  // the same sign; which hole is the first is told by what was acknowledged
  return assumed && said != timeout;
}

// What looks the same on a wire.
inline bool claims_no_more(tcp::ResetCause said, bool assumed, tcp::ResetCause truth, bool truth_assumed) {
  using enum tcp::ResetCause;
  if (said == none) return true;
  if (said == truth) return assumed || !truth_assumed;
  return assumed && said != third_party && said != refused && said != bad_ack;
}

// Of two endings, whether the first says no more than the second.
inline bool claims_no_more(Ending said, Ending truth) {
  using enum Ending;
  if (said == truth || said == open) return true;
  if (said == half_closed) return truth == closed || truth == closing || truth == reset;
  if (said == closing) return truth == closed || truth == reset;
  if (said == closed) return truth == reset;        // of a reset behind the close
  if (said == reset) return truth == never_opened;  // refused, and what was asked is not there
  return false;
}

inline bool claims_no_more(Opening said, Opening truth, const Derivation& how) {
  using enum Opening;
  if (said == truth || said == before_capture) return true;
  if (said == half_seen) return truth == handshake;
  if (said == incomplete) return truth == handshake || truth == half_seen;
  // "SYN only": so far, or in this direction. That nobody will answer is said by the problem and by the ending.
  if (said == unanswered) return how.lacks;
  return false;
}

// What is claimed by a mark, and is not where the capture is the only one that has it twice or lacks it.
inline std::uint32_t claims_of_marks(const tcp::Verdict& said, const Packet& packet, const Derivation& how) {
  using namespace tcp;  // NOLINT
  std::uint32_t claims = mark::zero_window | mark::fast_open | mark::simultaneous_open | mark::split_handshake |
                         mark::needless | mark::acked_before | mark::with_fin | mark::urgent;
  if (!how.copies) claims |= mark::foreign_ttl | mark::captured_twice;
  if (!how.offload) claims |= mark::offload_copy;
  if (!how.moves && !said.has(mark::assumed)) claims |= mark::behind_ack;
  if (!how.lacks && !how.moves) claims |= mark::acks_unseen | mark::gap_before;
  if (packet.is_copy) claims &= ~mark::needless;
  return claims;
}

inline Falsehood falsehood_of(const SegmentSaid& said, const Packet& packet, std::uint64_t until, const Truth& truth,
                              const Derivation& how) {
  const SegmentSaid& so = truth.of(packet.origin);
  const tcp::Verdict &a = said.verdict, &b = so.verdict;
  const bool assumed = a.has(tcp::mark::assumed);
  if (!claims_no_more(a, b, packet, how))
    return fmt::format("kind {}{}{} of {}{}", name(a.kind), assumed ? " (assumed)" : "",
                       a.kind == tcp::Kind::illegal ? fmt::format(" {}", name(a.illegality)) : "",
                       packet.is_copy ? "a copy of " : "", name(b.kind));
  if (a.kind == tcp::Kind::retransmission && !claims_no_more(a.reason, b.reason, assumed || b.has(tcp::mark::assumed)))
    return fmt::format("reason {}{} of {}{}", name(a.reason), assumed ? " (assumed)" : "", name(b.reason),
                       b.has(tcp::mark::assumed) ? " (assumed)" : "");
  if (a.kind == tcp::Kind::retransmission && a.reason == b.reason && a.reason == tcp::RetransmissionReason::timeout &&
      b.has(tcp::mark::assumed) && !assumed)
    return "timeout surer than with all";
  const bool again = packet.is_copy && a.reset_cause == tcp::ResetCause::after_reset;
  if (a.kind == tcp::Kind::reset && !again &&
      !claims_no_more(a.reset_cause, assumed, b.reset_cause, b.has(tcp::mark::assumed)))
    return fmt::format("reset {}{} of {}{}", name(a.reset_cause), assumed ? " (assumed)" : "", name(b.reset_cause),
                       b.has(tcp::mark::assumed) ? " (assumed)" : "");
  if (const std::uint32_t claimed = a.marks & ~b.marks & claims_of_marks(a, packet, how); claimed != 0) {
    std::string names;
    for (int bit = 0; bit < tcp::mark::count; ++bit)
      if (claimed >> bit & 1U) names += fmt::format(" {}", tcp::mark_name(bit));
    return fmt::format("mark{} of {} told {}", names, name(b.kind), name(a.kind));
  }
  // Who sends data where its handshake is not there passes for open; with Fast Open it is a moment too soon.
  const auto may_be_fast_open = [&](const EndState& end) {
    return how.lacks && end.state == tcp::State::established && end.address == packet.segment.source &&
           packet.segment.payload_length > 0 &&
           truth.was_in(until, {end.address, tcp::State::syn_received}, so.connection);
  };
  for (const EndState& end : said.states)
    if (end.state != tcp::State::not_seen && !truth.was_in(until, end, so.connection) && !may_be_fast_open(end))
      return fmt::format("state {} of {} that was not in it ({})", name(end.state),
                         end.address == packet.segment.source ? "a sender" : "a receiver", name(a.kind));
  return {};
}

inline std::optional<wire::SocketAddress> closed_by(const ConnectionRecord& record) {
  if (!record.closed_by) return std::nullopt;
  return record.addresses[*record.closed_by];
}

// By the notes that say what the capture is, whether it is so.
inline bool is_of_the_capture(std::string_view problem, const Derivation& how) {
  if (problem == "capture.one_way" || problem == "capture.gaps") return how.lacks;
  if (problem == "capture.copies") return how.copies;
  if (problem == "capture.offload") return how.offload;
  if (problem == "capture.out_of_order") return how.moves;
  return false;
}

struct Counted {
  std::string_view what;
  std::uint32_t EndRecord::* count;
  bool may_be_alike = false;  // two of them, so that a copy is none
};
inline constexpr Counted never_more[] = {
    {"timeouts", &EndRecord::timeouts},           {"tail-loss probes", &EndRecord::tail_loss_probes},
    {"needless", &EndRecord::needless},           {"FINs again", &EndRecord::fins_again},
    {"illegal", &EndRecord::illegal, true},       {"keep-alives", &EndRecord::keep_alives},
    {"window probes", &EndRecord::window_probes}, {"zero windows", &EndRecord::zero_windows, true},
    {"resets", &EndRecord::resets, true},
};

inline std::vector<Falsehood> falsehoods_of(const Said::OfConnection& said, const Said::OfConnection& truth,
                                            const Packets& packets, const Truth& all, const Derivation& how) {
  std::vector<Falsehood> found;
  const ConnectionRecord &a = said.record, &b = truth.record;
  const auto add = [&found](std::string text) { found.push_back(std::move(text)); };
  if (!claims_no_more(a.opening, b.opening, how))
    add(fmt::format("opening {} of {}", name(a.opening), name(b.opening)));
  const auto has = [](const Said::OfConnection& of, std::string_view id) {
    return std::ranges::any_of(of.problems, [&](const Problem& problem) { return problem.rule->id == id; });
  };
  // What is said of a wait is so while it waits: what was sent again once more got its answer behind the end of this capture.
  const bool waited = how.lacks && (has(truth, "capture.syn_lost") || has(truth, "capture.timeout"));
  const bool never = a.ending == Ending::never_opened && (waited || how.one_way);
  if (!claims_no_more(a.ending, b.ending) && !never)
    add(fmt::format("ending {} of {}", name(a.ending), name(b.ending)));
  const bool both_opened = (b.marks & tcp::mark::simultaneous_open) != 0;
  if (a.opener_known && !both_opened && a.addresses[opener] != b.addresses[opener]) add("opener");
  // Of two FINs that crossed one may be missing.
  const bool crossed = !b.closed_by && b.ends[opener].sent_fin && b.ends[listener].sent_fin;
  if (a.closed_by && closed_by(a) != closed_by(b) && !(how.lacks && crossed))
    add(fmt::format("closed first by the {}", closed_by(b) ? "other" : "one, where it is not known"));
  if (a.reset_cause != tcp::ResetCause::none) {
    const tcp::Verdict& so = all.of(packets[a.reset_frame - 1].origin).verdict;
    const bool same = b.reset_cause != tcp::ResetCause::none &&
                      claims_no_more(a.reset_cause, a.reset_assumed, b.reset_cause, b.reset_assumed);
    if (!same && !claims_no_more(a.reset_cause, a.reset_assumed, so.reset_cause, so.has(tcp::mark::assumed)))
      add(fmt::format("reset in the record {}{} of {}", name(a.reset_cause), a.reset_assumed ? " (assumed)" : "",
                      name(so.reset_cause)));
  }
  for (const tcp::Side side : tcp::both_sides) {
    const EndRecord& mine = a.ends[side];
    const EndRecord& its = b.ends[a.addresses[side] == b.addresses[side] ? side : tcp::other(side)];
    for (const Counted& counted : never_more)
      if (mine.*counted.count > its.*counted.count && !(how.copies && counted.may_be_alike))
        add(fmt::format("{} counted more often", counted.what));
    // Without numbers and stamps a copy of what was sent again is as good as sent once more.
    const std::uint32_t times = how.copies && how.less_identity ? 2 : 1;
    if (mine.retransmissions - mine.assumed_resends > its.retransmissions * times)
      add("retransmissions counted more often");
    if (mine.bytes > its.bytes) add("more bytes");
  }
  for (const Problem& problem : said.problems) {
    const std::string_view id = problem.rule->id;
    if (is_of_the_capture(id, how)) continue;
    const auto same = std::ranges::find(truth.problems, problem.rule, &Problem::rule);
    // What an older connection's end answered is illegal until the reset behind it tells what it was.
    if (id == "capture.illegal" && how.lacks && has(truth, "capture.old_connection")) continue;
    // What was given up had been sent again, and what was needless is not always known for it.
    const std::uint64_t times = how.copies && how.less_identity ? 2 : 1;
    if (id == "capture.loss" && same != truth.problems.end() && problem.count <= truth.record.retransmissions() * times)
      continue;
    constexpr std::string_view of_a_wait[] = {"capture.unanswered", "capture.half_open_handshake", "capture.gave_up",
                                              "capture.not_getting_through", "capture.mtu_black_hole"};
    if (waited && std::ranges::find(of_a_wait, id) != std::end(of_a_wait)) continue;
    // Of a SYN the other direction would have the answer, and nothing tells that it is missing.
    if (how.one_way && id == "capture.unanswered") continue;
    // What was given up had been sent again; a window that was shut for long had been shut for a while.
    if (id == "capture.loss" && (has(truth, "capture.gave_up") || has(truth, "capture.not_getting_through"))) continue;
    if (id == "capture.zero_window_brief" && has(truth, "capture.zero_window")) continue;
    if (same == truth.problems.end()) {
      if (id.starts_with("capture.reset.") && problem.grade == explain::Grade::assumed)
        continue;  // by its cause, above
      add(fmt::format("problem {}", id));
    } else {
      if (problem.grade < same->grade) add(fmt::format("problem {} surer", id));
      const bool may_be_alike = id == "capture.illegal" || id.starts_with("capture.zero_window") ||
                                (id == "capture.copied_on_the_way" && how.less_identity);
      if (problem.count > same->count && !(how.copies && may_be_alike))
        add(fmt::format("problem {} counted more often", id));
    }
  }
  return found;
}

struct Compared {
  std::uint64_t captures = 0, segments = 0;
  std::map<Falsehood, std::uint64_t> false_ones;    // and how often
  std::map<Falsehood, std::string> first_examples;  // of each
};

inline void compare(const Packets& packets, const Truth& truth, const Derivation& how, Compared& compared,
                    const std::string& where) {
  const Said said = say(packets);
  const auto add = [&](const Falsehood& falsehood, const std::string& place) {
    if (falsehood.empty()) return;
    ++compared.false_ones[falsehood];
    compared.first_examples.try_emplace(falsehood, fmt::format("{} {}", where, place));
  };
  ++compared.captures;
  std::uint64_t until = 0;
  std::vector<std::optional<std::size_t>> whose(said.connections.size());
  for (std::size_t i = 0; i < packets.size(); ++i) {
    const Packet& packet = packets[i];
    if (!packet.is_tcp()) continue;
    ++compared.segments;
    until = std::max(until, packet.through);
    const SegmentSaid& segment = said.segments[i];
    add(falsehood_of(segment, packet, until, truth, how), fmt::format("at frame {} of the lab's", packet.origin));
    auto& its = whose[segment.connection];
    const std::size_t true_connection = truth.of(packet.origin).connection;
    if (!its) its = true_connection;
    if (segment.verdict.kind != tcp::Kind::illegal && *its != true_connection)
      add("two connections told as one", fmt::format("at frame {} of the lab's", packet.origin));
  }
  for (std::size_t i = 0; i < whose.size(); ++i) {
    if (!whose[i] || !said.connections[i] || !truth.said().connections[*whose[i]]) continue;
    // A refusal alone, and the next attempt behind it.
    const bool was_refused = truth.said().connections[*whose[i]]->record.opening == Opening::refused;
    if (std::ranges::count(whose, whose[i]) > 1 && !was_refused) add("one connection told as two", {});
    for (const Falsehood& falsehood :
         falsehoods_of(*said.connections[i], *truth.said().connections[*whose[i]], packets, truth, how))
      add(falsehood, fmt::format("connection {}", *whose[i]));
  }
}

}  // namespace tcpwhy::scan::testing
