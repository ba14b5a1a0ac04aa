// For tests: what is told of a recording, held against the recording and against itself. Each sentence that comes back is a mistake of
// ours: evidence that is later than what it explains, an owner that did not hold the socket then, a row that says otherwise, bytes that
// are told to be lost and not to be, two findings of which one is false.
//
// It judges by the rules' ids and the events that they cite; what it asks of the recording it works out by itself, as simply as it can.
#pragma once

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/units.h"
#include "calls/call.h"
#include "explain/explain.h"
#include "recording/recording.h"

namespace tcpwhy::explain::testing {

class ContradictionSearch {
 public:
  explicit ContradictionSearch(const Explained& explained)
      : explained_(explained), timeline_(explained.timeline), recording_(*explained.recording) {
    for (timeline::SegmentIndex s = 0; s < timeline_.segments.size(); ++s)
      departed_in_[timeline_.segments[s].departed] = s;
    for (timeline::CallIndex c = 0; c < timeline_.calls.size(); ++c) {
      entered_in_[timeline_.calls[c].entered] = c;
      if (timeline_.calls[c].returned) returned_in_[*timeline_.calls[c].returned] = c;
    }
  }

  std::vector<std::string> run() {
    look_at_own_lists();
    for (const timeline::Segment& segment : timeline_.segments) look_at_cause(segment);
    for (const Finding& finding : explained_.findings) {
      look_at_times(finding);
      look_at_owners(finding);
      look_at_rows(finding);
      look_at_bytes(finding);
    }
    look_at_pairs();
    return std::move(told_);
  }

 private:
  using EventId = timeline::EventId;

  // --- How late what belongs to a moment may be told ------------------------------------------------------------------

  // The kernel's tracepoints and the taps have clocks of their own; an active reset is told after its delivery.
  static constexpr base::Duration kernels_word = std::chrono::milliseconds(20);
  static constexpr base::Duration clocks_differ = std::chrono::microseconds(200);
  // A process closes what it held while it ends; that it has ended is known when somebody has waited for it.
  static constexpr base::Duration end_is_told = std::chrono::seconds(1);

  // What a rule explains: the FIN or the RST among its evidence, or the failure that a call returned.
  enum class Explains : std::uint8_t { nothing, fin, reset, failure };
  struct WhatIsExplained {
    std::string_view prefix;
    Explains what;
  };
  static constexpr WhatIsExplained explained_by[] = {{"close.fin", Explains::fin},
                                                     {"close.delivered_after_exit", Explains::fin},
                                                     {"shutdown.fin", Explains::fin},
                                                     {"shutdown.despite_sharing", Explains::fin},
                                                     {"reset.", Explains::reset},
                                                     {"recv.connection_reset", Explains::failure},
                                                     {"send.connection_reset", Explains::failure},
                                                     {"send.broken_pipe", Explains::failure},
                                                     {"call.", Explains::failure},
                                                     {"bind.", Explains::failure},
                                                     {"open.refused", Explains::failure},
                                                     {"open.firewall_", Explains::failure},
                                                     {"open.thrown_away", Explains::failure},
                                                     {"open.unreachable", Explains::failure},
                                                     {"open.timed_out", Explains::failure},
                                                     {"open.no_", Explains::failure},
                                                     {"open.pair_", Explains::failure},
                                                     {"open.family_off", Explains::failure},
                                                     {"open.failed", Explains::failure}};
  static Explains explains(std::string_view rule) {
    const auto* row =
        std::ranges::find_if(explained_by, [&](const WhatIsExplained& r) { return rule.starts_with(r.prefix); });
    return row == std::end(explained_by) ? Explains::nothing : row->what;
  }

  template <class Kind>
  const Kind* as(EventId id) const {
    return std::get_if<Kind>(&recording_[id].what);
  }
  [[nodiscard]] base::WallTime time(EventId id) const { return recording_[id].at; }
  [[nodiscard]] const timeline::Segment* segment_that_left_in(EventId id) const {
    const auto found = departed_in_.find(id);
    return found == departed_in_.end() ? nullptr : &timeline_.segments[found->second];
  }
  [[nodiscard]] const timeline::Call* call_entered_in(EventId id) const {
    const auto found = entered_in_.find(id);
    return found == entered_in_.end() ? nullptr : &timeline_.calls[found->second];
  }

  // The latest of its evidence that is what it explains; nothing: it explains none, or only the kernel's word of it is known.
  [[nodiscard]] std::optional<EventId> effect_of(const Finding& finding) const {
    const auto what = explains(finding.rule->id);
    std::optional<EventId> effect;
    for (const EventId id : finding.evidence) {
      const timeline::Segment* segment = segment_that_left_in(id);
      const auto* returned = as<recording::CallReturned>(id);
      const auto* reset = as<recording::Reset>(id);
      const bool is_it = (what == Explains::fin && segment != nullptr && segment->tcp.flags.fin()) ||
                         (what == Explains::reset && segment != nullptr && segment->tcp.flags.rst()) ||
                         (what == Explains::reset && !effect && reset != nullptr && reset->sent) ||
                         (what == Explains::failure && returned != nullptr && returned->result < 0);
      if (is_it) effect = id;
    }
    return effect;
  }

  // What may be told of a moment after it.
  [[nodiscard]] bool may_follow(EventId id, EventId effect) const {
    const auto late = time(id) - time(effect);
    if (const auto* state = as<recording::SocketState>(id))
      return state->not_before ? *state->not_before <= time(effect) : late <= kernels_word;
    if (const auto* moved = as<recording::CounterMoved>(id)) return moved->not_before <= time(effect);
    if (as<recording::ProcessEnded>(id) != nullptr) return late <= end_is_told;
    if (as<recording::CallReturned>(id) != nullptr) {
      const auto call = returned_in_.find(id);
      return call != returned_in_.end() && time(timeline_.calls[call->second].entered) <= time(effect) + clocks_differ;
    }
    if (as<recording::CallEntered>(id) != nullptr) return late <= clocks_differ;
    if (as<recording::Packet>(id) != nullptr) {
      const timeline::Segment* segment = segment_that_left_in(effect);
      return segment != nullptr && segment->arrived == id;
    }
    return late <= kernels_word;
  }

  // --- What is looked at ----------------------------------------------------------------------------------------------

  void look_at_cause(const timeline::Segment& segment) {
    if (segment.cause.by && *segment.cause.by > segment.departed && !may_follow(*segment.cause.by, segment.departed))
      told_.push_back(fmt::format("the cause of the segment of event {} is event {}, {} later: {}",
                                  segment.departed.value, segment.cause.by->value,
                                  base::in_words(time(*segment.cause.by) - time(segment.departed)),
                                  segment.cause.rule));
    const auto* call = segment.cause.by ? call_entered_in(*segment.cause.by) : nullptr;
    if (call != nullptr && call->connection && *call->connection != segment.connection)
      told_.push_back(fmt::format("the segment of event {} is laid to a call on another connection, event {}",
                                  segment.departed.value, segment.cause.by->value));
  }

  void look_at_times(const Finding& finding) {
    if (!std::ranges::is_sorted(finding.evidence)) say(finding, "its evidence is not in order of time");
    const auto effect = effect_of(finding);
    if (!effect) return;
    // Who holds a port is looked up when the trace ends, and told as derived.
    const bool looked_up = finding.rule->id.starts_with("bind.held_by_") && finding.grade != Grade::observed;
    for (const EventId id : finding.evidence)
      if (id > *effect && !may_follow(id, *effect) && !(looked_up && as<recording::SocketState>(id) != nullptr))
        say(finding, fmt::format("its evidence, event {}, is {} later than what it explains, event {}", id.value,
                                 base::in_words(time(id) - time(*effect)), effect->value));
  }

  void look_at_owners(const Finding& finding) {
    // Which other connection has the addresses is what these are about.
    const bool names_another = finding.rule->id == "open.pair_in_use" || finding.rule->id.starts_with("bind.held_by_");
    if (!finding.connection || names_another) return;
    for (const EventId id : finding.evidence) {
      const timeline::Call* call = call_entered_in(id);
      if (call != nullptr && call->connection && *call->connection != *finding.connection)
        say(finding, fmt::format("it cites a call on another connection, event {}", id.value));
      if (call != nullptr && call->descriptor_was_closed && finding.rule->id != "call.bad_descriptor")
        say(finding, fmt::format("it cites a call on a descriptor that was closed, event {}", id.value));
    }
    const auto effect = effect_of(finding);
    const timeline::Segment* segment = effect ? segment_that_left_in(*effect) : nullptr;
    const auto what = explains(finding.rule->id);
    if (segment == nullptr || (what != Explains::fin && what != Explains::reset)) return;
    for (const EventId id : finding.evidence) look_at_holder(finding, *segment, id);
  }

  // Who is said to have ended and thereby closed the socket: a process that had it, and its name is told.
  void look_at_holder(const Finding& finding, const timeline::Segment& segment, EventId end) {
    if (as<recording::ProcessEnded>(end) == nullptr) return;
    const auto& side = timeline_.connections[*finding.connection].sides[segment.from];
    const auto process = timeline_.lookups.process_of(recording_[end].actor);
    const auto& actor = recording_.actors[recording_[end].actor.value];
    const bool only_owner =
        std::ranges::all_of(side.actors, [&](auto owner) { return timeline_.lookups.process_of(owner) == process; });
    const std::string text = explain::say(finding, Language::en);
    if (!only_owner && !text.contains(fmt::format("[{}]", actor.pid)))
      say(finding, fmt::format("of several processes it does not say that {}[{}] ended", actor.name, actor.pid));
    if (!text.contains(actor.name) && !text.contains(side.name))
      say(finding, fmt::format("it does not name {}, which ended", actor.name));
    std::size_t closed = 0, more = 0;  // descriptors; and what else refers to the socket: others, a call that goes on
    for (const auto c : timeline_.connections[*finding.connection].calls) {
      const timeline::Call& call = timeline_.calls[c];
      const bool goes_on = !call.returned || *call.returned > segment.departed;
      if (call.side == segment.from && call.entered < segment.departed && goes_on &&
          timeline_.lookups.process_of(call.actor) == process)
        ++more;
      if (call.side != segment.from || call.entered > segment.departed || !call.returned ||
          timeline_.lookups.process_of(call.actor) != process || call.descriptor_was_closed)
        continue;
      if (call.meaning.effect == calls::Effect::closes && timeline_.returned(call)->result == 0) ++closed;
      if (call.meaning.effect == calls::Effect::duplicates || call.meaning.carries_descriptors()) ++more;
    }
    if (closed > more) say(finding, fmt::format("{}[{}] had closed the socket before it ended", actor.name, actor.pid));
  }

  struct Impossible {
    std::string_view rule, drop;
  };
  static constexpr Impossible impossible[] = {{"open.refused", "NETFILTER_DROP"},
                                              {"open.refused_later", "NETFILTER_DROP"},
                                              {"reset.forgotten", "NETFILTER_DROP"}};

  // The kernel's word in a row that the finding cites.
  void look_at_rows(const Finding& finding) {
    for (const EventId id : finding.evidence) {
      const timeline::Segment* segment = segment_that_left_in(id);
      if (segment == nullptr) continue;
      for (const EventId word : segment->kernel)
        if (const auto* drop = as<recording::SegmentDropped>(word))
          for (const Impossible& row : impossible)
            if (finding.rule->id == row.rule && drop->reason == row.drop)
              say(finding, fmt::format("the row of event {} says {}", id.value, drop->reason));
    }
    if (finding.rule->id == "reset.unexplained")
      for (const EventId id : finding.evidence)
        if (const timeline::Segment* segment = segment_that_left_in(id);
            segment != nullptr && segment->cause.trigger == timeline::Trigger::call && segment->cause.by)
          if (const auto text = remedy(finding, Language::en); text.contains("trace "))
            say(finding, "it advises to trace a program whose call is in the rows");
  }

  // --- Bytes ------------------------------------------------------------------------------------------------------------

  [[nodiscard]] bool was_dropped(const timeline::Segment& segment) const {
    return std::ranges::any_of(segment.kernel,
                               [&](EventId id) { return as<recording::SegmentDropped>(id) != nullptr; });
  }

  void look_at_bytes(const Finding& finding) {
    if (!finding.connection) return;
    const auto slot = finding.slots.find("bytes");
    const auto* bytes = slot == finding.slots.end() ? nullptr : std::get_if<std::int64_t>(&slot->second);
    const auto effect = effect_of(finding);
    const timeline::Segment* segment = effect ? segment_that_left_in(*effect) : nullptr;
    if (bytes != nullptr && segment != nullptr && finding.rule->id.starts_with("reset.unread_data"))
      look_at_unread(finding, *segment, *bytes);
    if (finding.rule->id == "loss.retransmitted") look_at_loss(finding);
  }

  void look_at_unread(const Finding& finding, const timeline::Segment& reset, std::int64_t unread) {
    std::int64_t arrived = 0, read = 0;
    bool any_call = false;
    const auto& connection = timeline_.connections[*finding.connection];
    for (const auto s : connection.segments)
      if (const auto& segment = timeline_.segments[s]; segment.from != reset.from && segment.departed < reset.departed)
        arrived += segment.tcp.payload_length;
    for (const auto c : connection.calls) {
      const timeline::Call& call = timeline_.calls[c];
      if (call.side != reset.from) continue;
      any_call = true;
      if (call.meaning.effect == calls::Effect::receives && call.returned && *call.returned < reset.departed &&
          !call.meaning.has(MSG_PEEK) && !call.meaning.row->counts_messages)
        read += std::max<std::int64_t>(timeline_.returned(call)->result, 0);
    }
    const bool counted = std::ranges::any_of(finding.evidence, [&](EventId id) {
      const auto* word = as<recording::Reset>(id);
      return word != nullptr && word->unread;
    });
    if (!any_call && !counted) say(finding, "how much was unread is said of a program whose calls nobody saw");
    if (!counted && unread + read > arrived)
      say(finding, fmt::format("{} bytes unread and {} read are more than the {} that came", unread, read, arrived));
  }

  // Told to be lost: then it, or what acknowledged it, did not arrive.
  void look_at_loss(const Finding& finding) {
    const bool all_is_seen = recording_.provenance.wire == recording::WireKind::loopback &&
                             recording_.provenance.observed.contains(recording::Observation::drops) &&
                             timeline_.all<recording::Loss>().empty();
    if (!all_is_seen) return;
    const auto& connection = timeline_.connections[*finding.connection];
    for (const auto s : connection.segments)
      if (was_dropped(timeline_.segments[s])) return;
    for (const EventId id : finding.evidence)
      if (const timeline::Segment* segment = segment_that_left_in(id);
          segment != nullptr && segment->received.duplicate && segment->arrived)
        return say(finding,
                   fmt::format("the bytes of event {} had arrived before, and nothing was thrown away", id.value));
  }

  // --- Findings that exclude each other -----------------------------------------------------------------------------------

  // Of one connection; `same`: only where both cite one call or segment.
  struct Pair {
    std::string_view one, other;
    bool same;
  };
  static constexpr Pair pairs[] = {{"open.handshake", "open.refused", false},
                                   {"open.handshake", "open.refused_later", false},
                                   {"open.handshake", "open.refused_by_icmp", false},
                                   {"open.handshake", "open.timed_out", false},
                                   {"open.handshake", "open.unreachable", false},
                                   {"open.before_accept", "open.never_accepted", false},
                                   {"open.deferred", "open.syn_ack_lost", false},
                                   {"open.queue_full", "open.syn_lost", true},
                                   {"close.nothing_sent", "close.fin", true},
                                   {"close.nothing_sent", "close.left_to_another", true},
                                   {"close.nothing_sent", "close.fin_waits", true},
                                   {"close.nothing_sent", "close.delivered_later", true},
                                   {"close.left_to_another", "close.fin", true},
                                   {"close.left_to_another", "close.fin_waits", true},
                                   {"close.left_to_another", "close.delivered_later", true},
                                   {"close.orphan_waits", "shutdown.fin", true},
                                   {"close.orphan_waits", "shutdown.peer_keeps_open", true},
                                   {"loss.retransmitted", "resend.needless", true},
                                   {"send.not_sent", "send.segmented", true},
                                   {"signal.killed", "signal.ignored", true},
                                   {"signal.killed", "signal.handled", true},
                                   {"signal.killed", "signal.blocked", true}};

  void look_at_pairs() {
    std::map<std::pair<timeline::ConnectionIndex, std::string_view>, std::vector<const Finding*>> by_rule;
    std::map<EventId, const Finding*> reason_of;
    for (const Finding& finding : explained_.findings) {
      if (!finding.connection) continue;
      by_rule[{*finding.connection, finding.rule->id}].push_back(&finding);
      // Of one FIN, and of one RST, one thing only is the reason.
      static const std::set<std::string_view> no_reasons = {"reset.unsent_discarded", "shutdown.despite_sharing"};
      const auto what = explains(finding.rule->id);
      const auto effect = effect_of(finding);
      if (!effect || (what != Explains::fin && what != Explains::reset) || no_reasons.contains(finding.rule->id))
        continue;
      const auto [first, is_new] = reason_of.try_emplace(*effect, &finding);
      if (!is_new) say(finding, fmt::format("{} explains event {} already", first->second->rule->id, effect->value));
    }
    for (const auto& [key, findings] : by_rule)
      for (const Pair& pair : pairs)
        if (key.second == pair.one)
          if (const auto others = by_rule.find({key.first, pair.other}); others != by_rule.end())
            for (const Finding* finding : findings)
              for (const Finding* other : others->second)
                if (!pair.same || cite_one_thing(*finding, *other))
                  say(*finding, fmt::format("{} says otherwise", other->rule->id));
  }

  // A rule that has another name now would be looked for in vain.
  void look_at_own_lists() {
    const auto is_there = [&](std::string_view prefix) {
      if (std::ranges::none_of(rules(), [&](const Rule& rule) { return rule.id.starts_with(prefix); }))
        told_.push_back(fmt::format("no rule is called {}", prefix));
    };
    for (const WhatIsExplained& row : explained_by) is_there(row.prefix);
    for (const Impossible& row : impossible) is_there(row.rule);
    for (const Pair& pair : pairs) is_there(pair.one), is_there(pair.other);
  }

  [[nodiscard]] EventId thing_of(EventId id) const {
    const auto call = returned_in_.find(id);
    return call == returned_in_.end() ? id : timeline_.calls[call->second].entered;
  }
  [[nodiscard]] bool cite_one_thing(const Finding& one, const Finding& other) const {
    return std::ranges::any_of(one.evidence, [&](EventId id) {
      return std::ranges::any_of(other.evidence, [&](EventId its) { return thing_of(id) == thing_of(its); });
    });
  }

  void say(const Finding& finding, const std::string& what) {
    told_.push_back(fmt::format("{} (\"{}\"): {}", finding.rule->id, explain::say(finding, Language::en), what));
  }

  const Explained& explained_;
  const timeline::Timeline& timeline_;
  const recording::Recording& recording_;
  std::map<EventId, timeline::SegmentIndex> departed_in_;
  std::map<EventId, timeline::CallIndex> entered_in_, returned_in_;
  std::vector<std::string> told_;
};

// Nothing: all that is told may be true.
inline std::vector<std::string> contradictions_in(const Explained& explained) {
  return ContradictionSearch(explained).run();
}

}  // namespace tcpwhy::explain::testing
