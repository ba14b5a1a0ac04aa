#include "explain/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "explain/rules/unseen_reset.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/headlines.h"
#include "explain/texts/reset_reasons.h"

namespace tcpwhy::explain {
namespace {

using timeline::ActorId;
using timeline::Call;
using timeline::ConnectionIndex;
using timeline::EventId;
using timeline::listener;
using timeline::opener;
using timeline::Segment;
using timeline::Side;
using timeline::Timeline;
using timeline::Trigger;

constexpr std::size_t most_effects = 3;  // in a headline

// The call that an event is the entry or the return of.
const Call* call_of(const Timeline& timeline, EventId event) {
  const auto index = timeline.lookups.call_in(event);
  return index ? &timeline.calls[*index] : nullptr;
}

const Segment* segment_of(const Timeline& timeline, EventId event) {
  const auto index = timeline.lookups.segment_in(event);
  return index ? &timeline.segments[*index] : nullptr;
}

// Calls that fail so have met the reset of their connection.
bool met_reset(const Timeline& timeline, const Call& call) {
  const auto* returned = timeline.returned(call);
  return returned != nullptr && returned->result < 0 && (returned->error == ECONNRESET || returned->error == EPIPE);
}

// What makes findings speak of one event. A connection is reset once: all that touches its resets is of one event, with the call that provoked
// the reset; otherwise they share a call that failed.
class Ties {
 public:
  explicit Ties(const Timeline& timeline) : timeline_(timeline) {}

  // Keys of the events that the finding is of.
  [[nodiscard]] std::set<std::uint64_t> keys_of(const Finding& finding) {
    std::set<std::uint64_t> keys;
    if (finding.connection && provoking_of(*finding.connection).contains(finding.about)) keys.insert(of_reset);
    if (finding.connection && find_reset_reason(finding.rule->id) != nullptr) keys.insert(of_reset);
    for (const EventId event : finding.evidence) {
      if (const Segment* segment = segment_of(timeline_, event); segment != nullptr && segment->tcp.flags.rst())
        keys.insert(of_reset);
      if (std::holds_alternative<recording::Reset>(timeline_.event(event).what)) keys.insert(of_reset);
      const Call* call = call_of(timeline_, event);
      if (call == nullptr) continue;
      const auto* returned = timeline_.returned(*call);
      if (met_reset(timeline_, *call) && was_reset(finding)) keys.insert(of_reset);
      if (returned == nullptr || returned->result < 0) keys.insert(std::uint64_t{call->entered.value} + 1);
      if (finding.connection && provoking_of(*finding.connection).contains(call->entered)) keys.insert(of_reset);
    }
    return keys;
  }

 private:
  static constexpr std::uint64_t of_reset = 0;

  [[nodiscard]] bool was_reset(const Finding& finding) const {
    if (!finding.connection) return false;
    const auto& connection = timeline_.connections[*finding.connection];
    return connection.without_packets() ||
           std::ranges::any_of(connection.segments, [&](auto s) { return timeline_.segments[s].tcp.flags.rst(); }) ||
           std::ranges::any_of(connection.kernel, [&](const auto& kernel) {
             return std::holds_alternative<recording::Reset>(timeline_.event(kernel.event).what);
           });
  }

  // The calls whose data the connection's resets answered.
  const std::set<EventId>& provoking_of(ConnectionIndex index) {
    const auto [known, is_new] = provoking_.try_emplace(index);
    if (!is_new) return known->second;
    if (timeline_.connections[index].without_packets())
      if (const auto reset = unseen_reset(Story(timeline_, index)); reset && reset->answered != nullptr)
        known->second.insert(reset->answered->entered);
    for (const auto s : timeline_.connections[index].segments) {
      const Segment& reset = timeline_.segments[s];
      if (!reset.tcp.flags.rst() || reset.cause.trigger != Trigger::segment || !reset.cause.by) continue;
      const Segment* answered = segment_of(timeline_, *reset.cause.by);
      if (answered != nullptr && answered->cause.trigger == Trigger::call && answered->cause.by)
        known->second.insert(*answered->cause.by);
    }
    return known->second;
  }

  const Timeline& timeline_;
  std::map<ConnectionIndex, std::set<EventId>> provoking_;
};

// The lower, the nearer to the cause.
int distance_of(const Finding& finding) {
  const std::string_view id = finding.rule->id;
  if (id.starts_with("reset.unexplained")) return 2;
  if (find_reset_reason(id) != nullptr) return 0;  // also one that the program meant
  if (finding.rule->severity < Severity::warning) return 4;
  if (id.starts_with("open.") || id.starts_with("gave_up.") || id.starts_with("bind.")) return 1;
  return 3;
}

Verdict verdict_of(std::vector<const Finding*> findings) {
  std::ranges::stable_sort(findings, {}, &Finding::about);
  Verdict verdict;
  verdict.cause = *std::ranges::min_element(findings, {}, [](const Finding* f) { return distance_of(*f); });
  for (const Finding* finding : findings)
    if (finding != verdict.cause && finding->rule->severity >= Severity::warning &&
        finding->about > verdict.cause->about)
      verdict.effects.push_back(finding);
  verdict.findings = std::move(findings);
  return verdict;
}

// --- Words ---------------------------------------------------------------------------------------------------------

// "close(4)", "recv(3) = ECONNRESET".
std::string short_call(const Timeline& timeline, const Call& call) {
  const auto& entered = timeline.entered(call);
  std::string text = entered.through.empty() ? "" : entered.through + ": ";
  text += entered.name + "(" + (entered.fd ? fmt::format("{}", *entered.fd) : "") + ")";
  const auto* returned = timeline.returned(call);
  if (returned != nullptr && returned->result < 0) text += " = " + error_words(returned->error);
  return base::escape_controls(text);
}

std::string actor_words(const Timeline& timeline, ActorId id) {
  const auto& actors = timeline.recording->actors;
  if (id.value >= actors.size()) return {};
  const recording::Actor& actor = actors[id.value];
  if (actor.name == "server" || actor.name == "client") return {};  // of an experiment: the role says it
  const bool has_pid = actor.pid == 0 || actor.name.find(fmt::format("[{}]", actor.pid)) != std::string::npos;
  return base::escape_controls(has_pid ? actor.name : fmt::format("{}[{}]", actor.name, actor.pid));
}

// As Story::caller() has it.
bool is_called(const recording::Actor& actor, std::string_view name) {
  return name == actor.name || name == fmt::format("{}[{}]", actor.name, actor.pid);
}

class Words {
 public:
  Words(const Finding& finding, const Timeline& timeline, Language language)
      : finding_(finding), timeline_(timeline), language_(language) {}

  [[nodiscard]] std::string headline() const {
    const Headline* row = find_headline(finding_.rule->id);
    if (row == nullptr) {
      const std::string said = say(finding_, language_);
      return said.substr(0, std::min(said.find(". "), said.find("。")));
    }
    auto slots = finding_.slots;
    for (const std::string_view place : {"who", "peer", "opener", "listener"}) {
      const auto name = name_of(place);
      if (!name) continue;
      const auto side = side_of(place, *name);
      const Call* call = call_by(side, *name);
      const std::string end = end_of(side, *name, call);
      const std::string act =
          call == nullptr ? end : fmt::format("{} {}{}", end, short_call(timeline_, *call), stack_of(*call));
      slots.insert_or_assign(std::string(place), Slot(end));
      if (place == "who") name_fully(slots, *name, end);
      slots.insert_or_assign(place == "who" ? "act" : fmt::format("act_{}", place), Slot(act));
    }
    return fill_plain(row->text.in(language_), slots);
  }

  // Whom it was harm to, and what that end met; or both in one, where no call says it.
  struct Effect {
    std::string end, met;
  };
  [[nodiscard]] Effect effect() const {
    const Call* failed = nullptr;
    for (const EventId event : finding_.evidence) {
      const Call* call = call_of(timeline_, event);
      const auto* returned = call == nullptr ? nullptr : timeline_.returned(*call);
      if (returned != nullptr && returned->result < 0) failed = call;
    }
    if (failed == nullptr || !failed->connection || finding_.rule->id.starts_with("signal.")) return {{}, headline()};
    return {end_words(timeline_, *failed->connection, failed->side, failed->actor, language_),
            short_call(timeline_, *failed)};
  }

 private:
  // Who ended is told in words that name the end: "server's process".
  static void name_fully(Slots& slots, const std::string& name, const std::string& end) {
    const std::pair<std::string_view, std::string_view> possessives[] = {{"process", "'s "}, {"process_zh", "的"}};
    for (const auto& [place, of] : possessives)
      if (const auto slot = slots.find(place); slot != slots.end())
        if (auto* words = std::get_if<std::string>(&slot->second))
          if (const auto at = words->find(name + std::string(of)); at != std::string::npos)
            words->replace(at, name.size(), end);
  }

  // What is put in is not looked through for places again, nor given an article.
  [[nodiscard]] std::string fill_plain(std::string_view text, const Slots& slots) const {
    std::string filled = fill(text, slots, language_);
    if (language_ == Language::en)  // an experiment's ends are called by their roles
      for (const std::string_view article : {"the server", "the client"})
        for (auto at = filled.find(article); at != std::string::npos; at = filled.find(article, at))
          filled.erase(at, 4);
    return filled;
  }

  // As the finding has it; the peer of an end that is known is the other one.
  [[nodiscard]] std::optional<std::string> name_of(std::string_view place) const {
    const auto slot = finding_.slots.find(place);
    if (slot != finding_.slots.end())
      if (const auto* name = std::get_if<std::string>(&slot->second)) return *name;
    if (place != "peer" || !finding_.connection) return std::nullopt;
    const auto who = name_of("who");
    const auto side = who ? side_of("who", *who) : std::nullopt;
    if (!side) return std::nullopt;
    return timeline_.connections[*finding_.connection].sides[timeline::other(*side)].name;
  }

  [[nodiscard]] std::optional<Side> side_of(std::string_view place, const std::string& name) const {
    if (place == "opener") return opener;
    if (place == "listener") return listener;
    if (!finding_.connection) return std::nullopt;
    const auto& sides = timeline_.connections[*finding_.connection].sides;
    for (const Side side : {opener, listener})
      if (sides[side].name == name) return side;
    for (const Side side : {opener, listener})
      for (const ActorId actor : sides[side].actors)
        if (is_called(timeline_.recording->actors[actor.value], name)) return side;
    return std::nullopt;
  }

  [[nodiscard]] std::string end_of(std::optional<Side> side, const std::string& name, const Call* call) const {
    if (side && finding_.connection)
      return end_words(timeline_, *finding_.connection, *side, call == nullptr ? ActorId{} : call->actor, language_);
    const std::string actor = call == nullptr ? std::string() : actor_words(timeline_, call->actor);
    return actor.empty() ? base::escape_controls(end_name(name, language_)) : actor;
  }

  // The call in the evidence that this end made; or that made a segment of the evidence leave, a reset before others.
  [[nodiscard]] const Call* call_by(std::optional<Side> side, const std::string& name) const {
    const auto is_by = [&](const Call& call) {
      const auto& actors = timeline_.recording->actors;
      const bool named = call.actor.value < actors.size() && is_called(actors[call.actor.value], name);
      return !side || !call.connection || call.connection != finding_.connection ? named : call.side == *side;
    };
    if (finding_.act.valid())
      if (const Call* call = call_of(timeline_, finding_.act); call != nullptr && is_by(*call)) return call;
    const Call* found = nullptr;
    for (const EventId event : finding_.evidence) {
      const Segment* segment = segment_of(timeline_, event);
      if (segment == nullptr || segment->cause.trigger != Trigger::call || !segment->cause.by) continue;
      const Call* call = call_of(timeline_, *segment->cause.by);
      if (call != nullptr && is_by(*call) && (found == nullptr || segment->tcp.flags.rst())) found = call;
    }
    if (found != nullptr && segment_is_reset(*found)) return found;
    if (finding_.rule->id.starts_with("reset."))  // not the call that set an option for it
      for (const EventId event : finding_.evidence)
        if (const Call* call = call_of(timeline_, event);
            call != nullptr && is_by(*call) && call->meaning.effect == calls::Effect::closes)
          return call;
    // A finding on a call of one kind may cite others: that which shows the peer's close, that which set an option.
    const std::string_view id = finding_.rule->id;
    const std::optional<calls::Effect> wanted = id.starts_with("send.")   ? std::optional(calls::Effect::sends)
                                                : id.starts_with("recv.") ? std::optional(calls::Effect::receives)
                                                                          : std::nullopt;
    for (const EventId event : finding_.evidence)
      if (const Call* call = call_of(timeline_, event); call != nullptr && is_by(*call) && found == nullptr)
        if (!wanted || call->meaning.effect == *wanted) return call;
    return found;
  }

  [[nodiscard]] bool segment_is_reset(const Call& call) const {
    return std::ranges::any_of(finding_.evidence, [&](EventId event) {
      const Segment* segment = segment_of(timeline_, event);
      return segment != nullptr && segment->tcp.flags.rst() && segment->cause.by == call.entered;
    });
  }

  [[nodiscard]] std::string stack_of(const Call& call) const {
    const auto& stack = timeline_.entered(call).stack;
    if (stack.empty()) return {};
    return base::format(language_, {" at {}", "（{}）"}, base::escape_controls(stack.substr(0, stack.find(" < "))));
  }

  const Finding& finding_;
  const Timeline& timeline_;
  Language language_;
};

}  // namespace

Severity Verdict::severity() const {
  return std::ranges::max(findings, {}, [](const Finding* f) { return f->rule->severity; })->rule->severity;
}

std::vector<Verdict> verdicts_of(const Timeline& timeline, std::span<const Finding* const> findings) {
  std::vector<const Finding*> told;
  for (const Finding* finding : findings)
    if (finding->rule->severity > Severity::chat) told.push_back(finding);
  // Those that share a key are of one event.
  std::vector<std::size_t> event(told.size());
  std::iota(event.begin(), event.end(), std::size_t{0});
  const auto root = [&](std::size_t i) {
    while (event[i] != i) i = event[i] = event[event[i]];
    return i;
  };
  Ties ties(timeline);
  std::map<std::pair<std::optional<ConnectionIndex>, std::uint64_t>, std::size_t> first;
  for (std::size_t i = 0; i < told.size(); ++i)
    for (const std::uint64_t key : ties.keys_of(*told[i])) {
      const auto [known, is_new] = first.try_emplace({told[i]->connection, key}, i);
      if (!is_new) event[root(i)] = root(known->second);
    }
  std::map<std::size_t, std::vector<const Finding*>> events;
  for (std::size_t i = 0; i < told.size(); ++i) events[root(i)].push_back(told[i]);
  std::vector<Verdict> verdicts;
  for (auto& [_, of_one] : events) verdicts.push_back(verdict_of(std::move(of_one)));
  std::ranges::stable_sort(verdicts, [](const Verdict& a, const Verdict& b) {
    return std::pair(b.severity(), a.cause->about) < std::pair(a.severity(), b.cause->about);
  });
  return verdicts;
}

std::string headline(const Verdict& verdict, const Timeline& timeline, Language language) {
  std::string text = Words(*verdict.cause, timeline, language).headline();
  std::set<std::string> told;
  std::string last_end;
  for (const Finding* finding : verdict.effects) {
    const auto [end, met] = Words(*finding, timeline, language).effect();
    if (text.find(met) != std::string::npos || told.size() == most_effects || !told.insert(end + met).second) continue;
    if (!end.empty() && end == last_end)
      text += fmt::format("{}{}", Text{", ", "，"}.in(language), met);
    else
      text += fmt::format("{}{}{}{}", Text{"; ", "；"}.in(language), end, end.empty() ? "" : " ", met);
    last_end = end;
  }
  return text;
}

std::vector<EventId> evidence_of(const Verdict& verdict) {
  std::vector<EventId> evidence = verdict.cause->evidence;
  for (const Finding* finding : verdict.effects)
    evidence.insert(evidence.end(), finding->evidence.begin(), finding->evidence.end());
  std::ranges::sort(evidence);
  evidence.erase(std::ranges::unique(evidence).begin(), evidence.end());
  return evidence;
}

std::string remedy(const Verdict& verdict, const Finding& finding, Language language) {
  const FindingText* text = find_text(finding.rule->id);
  const bool known = distance_of(*verdict.cause) <= 1;
  if (&finding != verdict.cause && text != nullptr && text->asks_for_cause && known) return {};
  return remedy(finding, language);
}

std::string end_words(const Timeline& timeline, ConnectionIndex connection, Side side, ActorId actor,
                      Language language) {
  const auto& end = timeline.connections[connection].sides[side];
  const std::string role(side == opener ? Text{"client", "客户端"}.in(language)
                                        : Text{"server", "服务器"}.in(language));
  if (end.actors.empty() && (end.name == "server" || end.name == "client")) return role;
  if (end.actors.empty()) {
    const bool known = end.address.ip.family != wire::IpFamily::none;
    return known ? role + " " + wire::to_string(end.address) : role;
  }
  const auto words = actor_words(timeline, actor.valid() ? actor : end.actors.front());
  return words.empty() ? role : role + " " + words;
}

}  // namespace tcpwhy::explain
