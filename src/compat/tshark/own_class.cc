#include "compat/tshark/own_class.h"

#include <optional>

#include "base/language.h"
#include "explain/texts/wire_words.h"

namespace tcpwhy::compat::tshark {
namespace {

// The verdict of tshark's that says the same as our class; nothing where it has no word for it or needs none.
std::optional<Verdict> verdict_of(tcp::Kind kind) {
  switch (kind) {
    case tcp::Kind::retransmission: return Verdict::retransmission;
    case tcp::Kind::reordered: return Verdict::out_of_order;
    case tcp::Kind::duplicate_ack: return Verdict::duplicate_ack;
    case tcp::Kind::window_update: return Verdict::window_update;
    case tcp::Kind::keep_alive: return Verdict::keep_alive;
    case tcp::Kind::keep_alive_ack: return Verdict::keep_alive_ack;
    case tcp::Kind::window_probe: return Verdict::zero_window_probe;
    case tcp::Kind::window_probe_ack: return Verdict::zero_window_probe_ack;
    case tcp::Kind::syn:
    case tcp::Kind::syn_ack:
    case tcp::Kind::data:
    case tcp::Kind::fin:
    case tcp::Kind::ack:
    case tcp::Kind::challenge_ack:
    case tcp::Kind::duplicate:
    case tcp::Kind::reset:
    case tcp::Kind::illegal: break;
  }
  return std::nullopt;
}

// Classes that tshark can't express: whatever it says is something else.
bool is_unknown_to_tshark(tcp::Kind kind) {
  return kind == tcp::Kind::challenge_ack || kind == tcp::Kind::duplicate || kind == tcp::Kind::illegal;
}

// One of these is what tshark calls the segment; the other verdicts say what else is true of it.
constexpr Verdict kinds[] = {Verdict::retransmission,    Verdict::out_of_order,         Verdict::duplicate_ack,
                             Verdict::window_update,     Verdict::keep_alive,           Verdict::keep_alive_ack,
                             Verdict::zero_window_probe, Verdict::zero_window_probe_ack};

bool has_kind(const Verdicts& verdicts, Verdict kind) {
  if (verdicts.has(kind)) return true;
  return kind == Verdict::retransmission &&
         (verdicts.has(Verdict::fast_retransmission) || verdicts.has(Verdict::spurious_retransmission));
}

bool same_kind(const Verdicts& theirs, tcp::Kind ours) {
  if (is_unknown_to_tshark(ours)) return false;
  const auto expected = verdict_of(ours);
  for (const Verdict kind : kinds) {
    if (has_kind(theirs, kind) != (expected == kind)) return false;
  }
  return true;
}

constexpr struct {
  std::uint32_t mark;
  Verdict verdict;
} marks[] = {{tcp::mark::gap_before, Verdict::lost_segment},
             {tcp::mark::acks_unseen, Verdict::ack_lost_segment},
             {tcp::mark::zero_window, Verdict::zero_window},
             {tcp::mark::window_full, Verdict::window_full},
             {tcp::mark::port_reused, Verdict::reused_ports}};

bool same_marks(const Verdicts& theirs, const tcp::Verdict& ours) {
  for (const auto& [mark, verdict] : marks) {
    if (theirs.has(verdict) != ours.has(mark)) return false;
  }
  return true;
}

}  // namespace

OwnClass::OwnClass(const Observer::Limits& limits)
    : connections_(scan::TableLimits{.open = limits.connections}, limits.seed, [](scan::Connection&, scan::Left) {}) {}

std::string OwnClass::unlike(const scan::Frame& frame, std::span<const Row> rows) {
  if (frame.packet.kind != wire::Dissection::tcp) return {};
  const scan::TakenSegment taken = connections_.take(frame.number, base::to_ns(frame.at), frame.packet.segment);
  if (rows.empty()) return {};
  const Verdicts& theirs = rows.front().findings.verdicts;
  if (same_kind(theirs, taken.verdict.kind) && same_marks(theirs, taken.verdict)) return {};
  std::string words = explain::segment_in_words(taken.verdict, base::Language::en);
  return words.empty() ? std::string(explain::words(taken.verdict.kind, base::Language::en)) : words;
}

}  // namespace tcpwhy::compat::tshark
