#include "explain/story.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "explain/rules/accept_queue.h"
#include "explain/texts/drop_reasons.h"

namespace tcpwhy::explain {
Story::Story(const Timeline& whole, timeline::ConnectionIndex i)
    : timeline(whole), connection(whole.connections[i]), index(i) {
  for (const auto c : connection.calls) {
    const Call& call = timeline.calls[c];
    calls_[call.side].push_back(&call);
  }
  for (const Side side : {timeline::opener, timeline::listener}) {
    std::ranges::sort(calls_[side], {}, &Call::entered);
    for (const Call* call : calls_[side]) by_effect_[side][static_cast<std::size_t>(effect(*call))].push_back(call);
    for (const Call* call : calls(side, Effect::shuts)) {
      if (!succeeded(*call)) continue;
      const auto& shutdown = *call->meaning.as<calls::Shutdown>();
      if (shutdown.sending() && shut_sending_[side] == nullptr) shut_sending_[side] = call;
      if (shutdown.receiving() && !shut_receiving_[side]) shut_receiving_[side] = time(call->entered);
    }
  }
  for (const auto s : connection.segments) {
    const Segment& segment = timeline.segments[s];
    segments_[segment.from].push_back(&segment);
    if (segment.tcp.flags.fin() && fin_[segment.from] == nullptr) fin_[segment.from] = &segment;
    if (segment.tcp.flags.rst() && reset_[segment.from] == nullptr) reset_[segment.from] = &segment;
    if (segment.cause.trigger == timeline::Trigger::call && segment.cause.by)
      causing_calls_.push_back(*segment.cause.by);
    if (segment.tcp.payload_length > 0) data_departures_[segment.from].push_back(segment.departed);
  }
  std::ranges::sort(causing_calls_);
  calls_known_ = timeline.recording->provenance.has_calls();
}

Effect Story::effect(const Call& call) {
  return call.meaning.carries_descriptors() ? Effect::none : call.meaning.effect;
}

std::span<const Call* const> Story::calls_between(Side side, Effect effect, EventId after, EventId before) const {
  const auto& all = calls(side, effect);
  const auto first = std::ranges::upper_bound(all, after, {}, &Call::entered);
  const auto last = std::ranges::lower_bound(first, all.end(), before, {}, &Call::entered);
  return {first, last};
}

std::string Story::caller(const Call& call) const {
  const auto& actors = timeline.recording->actors;
  const auto& owners = connection.sides[call.side].actors;
  if (call.actor.value >= actors.size()) return name(call.side);
  const auto process = [&](timeline::ActorId actor) { return timeline.lookups.process_of(actor); };
  const auto& who = actors[call.actor.value];
  const bool namesake = std::ranges::any_of(owners, [&](auto owner) {
    return process(owner) != process(call.actor) && actors[owner.value].name == who.name;
  });
  if (namesake) return fmt::format("{}[{}]", who.name, who.pid);
  return !owners.empty() && process(owners.front()) == process(call.actor) ? name(call.side) : who.name;
}

std::string Story::line(const Call& call) const {
  const auto& entered = timeline.entered(call);
  if (!came_back(call))
    return (entered.through.empty() ? "" : entered.through + ": ") + entered.name + "(" + entered.arguments + ")";
  return recording::call_line(entered, timeline.returned(call));
}

std::int64_t Story::result(const Call& call) const {
  const auto* returned = timeline.returned(call);
  return returned == nullptr ? -1 : returned->result;
}

bool Story::succeeded(const Call& call) const {
  const auto* returned = timeline.returned(call);
  return returned != nullptr && returned->result >= 0;
}

bool Story::failed_with(const Call& call, int error) const {
  const auto* returned = timeline.returned(call);
  return returned != nullptr && returned->result < 0 && returned->error == error;
}

const Call* Story::call_at(EventId entered) const {
  for (const auto& side : calls_) {
    const auto found = std::ranges::lower_bound(side, entered, {}, &Call::entered);
    if (found != side.end() && (*found)->entered == entered) return *found;
  }
  return nullptr;
}

std::optional<base::WallTime> Story::arrival(const Segment* segment) const {
  if (segment == nullptr || !segment->arrived) return std::nullopt;
  return time(*segment->arrived);
}

bool Story::arrived_before(const Segment* segment, base::WallTime when) const {
  const auto arrived = arrival(segment);
  return arrived && *arrived <= when;
}

const Segment* Story::acknowledgment_of(const Segment& of) const {
  if (!of.arrived) return nullptr;
  const auto end = tcp::advance(of.tcp.seq, of.tcp.sequence_length());
  for (const auto s : connection.segments) {
    const Segment& segment = timeline.segments[s];
    if (segment.from == of.from || segment.departed < *of.arrived || !segment.tcp.flags.ack()) continue;
    if (tcp::at_or_before(end, segment.tcp.ack)) return &segment;
  }
  return nullptr;
}

bool Story::caused_any(const Call& call) const { return std::ranges::binary_search(causing_calls_, call.entered); }

bool Story::sent_data_between(Side side, EventId after, EventId before) const {
  const auto first = std::ranges::upper_bound(data_departures_[side], after);
  return first != data_departures_[side].end() && *first < before;
}

std::optional<EventId> Story::first_call_of(Side side, std::int32_t pid) const {
  auto& first = first_calls_[side];
  const auto& actors = timeline.recording->actors;
  if (first.empty())
    for (const Call* call : calls(side))
      first.try_emplace(call->actor.value < actors.size() ? actors[call->actor.value].pid : 0, call->entered);
  const auto found = first.find(pid);
  return found == first.end() ? std::nullopt : std::optional(found->second);
}

const Call* Story::closing_call(Side side) const {
  for (const Call* call : calls(side, Effect::closes))
    if (!call->descriptor_was_closed) return call;
  return nullptr;
}

std::optional<EventId> Story::end_of_process(Side side) const {
  const auto& actors = timeline.recording->actors;
  std::optional<EventId> last;
  for (const auto actor : connection.sides[side].actors) {
    if (actor.value >= actors.size()) return std::nullopt;
    const auto ends = timeline.lookups.ends_of_pid.of(actors[actor.value].pid);
    if (ends.empty()) return std::nullopt;
    const EventId end = ends.front().value;
    if (!last || *last < end) last = end;
  }
  return last;
}

bool Story::left_after_end_of_process(const Segment& segment) const {
  const auto end = end_of_process(segment.from);
  if (!end || time(*end) > time(segment.departed) || closing_call(segment.from) != nullptr) return false;
  // A child may hold the socket still.
  const auto& actors = timeline.recording->actors;
  const bool may_be_held = std::ranges::any_of(connection.sides[segment.from].actors, [&](auto actor) {
    return fork_while_held(*this, segment.from, actors[actor.value].pid, *end).has_value();
  });
  if (may_be_held && segment.cause.trigger == timeline::Trigger::unknown) return false;
  return !shut_sending(segment.from, time(segment.departed));
}

OwnedText how_ended(const Timeline& timeline, std::optional<EventId> end) {
  const auto* ended = end && end->valid() ? std::get_if<recording::ProcessEnded>(&timeline.event(*end).what) : nullptr;
  if (ended != nullptr && !ended->signal.empty())
    return {"was killed by " + ended->signal, "被 " + ended->signal + " 终止"};
  return {"ended", "结束"};
}

void put_drop(Slots& slots, const recording::SegmentDropped& drop) {
  const DropReason& reason = drop_reason(drop.reason);
  slots["reason"] = drop.reason;
  put(slots, "by", reason.by), put(slots, "look", reason.look);
  put(slots, "where", drop.sent ? Text{"on its way out", "在发出途中"} : Text{"as it arrived", "在到达时"});
}

const Call* Story::shutdown_of_sending(Side side, base::WallTime before) const {
  const Call* shutdown = shut_sending_[side];
  return shutdown != nullptr && time(shutdown->entered) < before ? shutdown : nullptr;
}
bool Story::shut_receiving(Side side, base::WallTime before) const {
  return shut_receiving_[side] && *shut_receiving_[side] < before;
}

std::uint64_t Story::bytes_arrived(Side side, base::WallTime by) const {
  std::uint64_t bytes = 0;
  for (const auto s : connection.segments) {
    const Segment& segment = timeline.segments[s];
    if (segment.from != side && segment.received.advances && arrived_before(&segment, by))
      bytes += segment.tcp.payload_length;
  }
  return bytes;
}

std::uint64_t Story::bytes_moved(const Call& call) const {
  const auto* transfer = call.meaning.as<calls::Transfer>();
  if (transfer == nullptr || result(call) <= 0 || transfer->has(MSG_PEEK)) return 0;
  if (call.meaning.row->counts_messages) return transfer->message_bytes.value_or(0);
  return static_cast<std::uint64_t>(result(call));
}

std::optional<std::uint64_t> Story::bytes_read(Side side, base::WallTime by) const {
  std::uint64_t bytes = 0;
  for (const Call* call : calls(side, Effect::receives)) {
    if (!call->returned || time(*call->returned) > by) continue;
    const auto* transfer = call->meaning.as<calls::Transfer>();
    if (call->meaning.row->counts_messages && result(*call) > 0 && !transfer->message_bytes) return std::nullopt;
    bytes += bytes_moved(*call);
  }
  return bytes;
}

bool Story::reads_are_known(Side side) const {
  return std::ranges::any_of(calls(side), [](const Call* call) {
    return call->meaning.effect == Effect::accepts || call->meaning.effect == Effect::connects;
  });
}

std::optional<std::uint64_t> Story::bytes_unsent(Side side, EventId by) const {
  std::uint64_t given = 0, left = 0;
  for (const Call* call : calls(side, Effect::sends)) {
    if (call->entered >= by) break;
    const auto* transfer = call->meaning.as<calls::Transfer>();
    const bool counted = !call->meaning.row->counts_messages || (transfer != nullptr && transfer->message_bytes);
    if (!call->returned || !counted) return std::nullopt;
    given += bytes_moved(*call);
  }
  for (const Segment* segment : segments_[side])
    if (segment->segment_class == tcp::SegmentClass::data && segment->departed < by)
      left += segment->tcp.payload_length;
  return given > left ? given - left : 0;
}

std::uint64_t Story::bytes_unacknowledged(Side side, EventId by) const {
  std::optional<wire::SequenceNumber> sent, acknowledged;
  for (const auto s : connection.segments) {
    const Segment& segment = timeline.segments[s];
    if (segment.departed >= by) break;
    if (segment.from == side && segment.tcp.payload_length > 0) {
      const auto end = tcp::advance(segment.tcp.seq, segment.tcp.payload_length);
      if (!sent || tcp::before(*sent, end)) sent = end;
    } else if (segment.from != side && segment.arrived && segment.tcp.flags.ack()) {
      if (!acknowledged || tcp::before(*acknowledged, segment.tcp.ack)) acknowledged = segment.tcp.ack;
    }
  }
  const bool outstanding = sent && acknowledged && tcp::before(*acknowledged, *sent);
  return bytes_unsent(side, by).value_or(0) +
         (outstanding ? static_cast<std::uint64_t>(tcp::distance(*acknowledged, *sent)) : 0);
}

// recvmmsg() returns how many messages it took: the last of them is empty.
bool Story::met_end(const Call& call) const {
  const auto* transfer = call.meaning.as<calls::Transfer>();
  if (call.meaning.row->counts_messages)
    return result(call) > 0 && transfer != nullptr && transfer->last_message_bytes == 0;
  return call.returned && result(call) == 0 && timeline.entered(call).byte_count.value_or(1) > 0;
}

tcp::State Story::state(Side side, base::WallTime at) const {
  tcp::State state = tcp::State::not_seen;
  for (const auto& change : connection.changes) {
    if (change.side != side) continue;
    if (time(change.event) > at) break;
    state = change.to;
  }
  return state;
}

std::optional<EventId> Story::counter_moved(std::string_view counter, Side side, base::WallTime covering) const {
  return timeline.lookups.counter_covering({counter, connection.sides[side].host}, covering, *timeline.recording);
}

const Call* Story::option_set(Side side, const SocketOption& option, base::WallTime when) const {
  const auto& options = calls(side, Effect::sets_option);
  const auto later = std::ranges::lower_bound(options, when, {}, [&](const Call* call) { return time(call->entered); });
  for (auto call = later; call != options.begin();) {
    --call;
    if (succeeded(**call) && (*call)->meaning.is_option(option.level, option.number)) return *call;
  }
  return nullptr;
}

std::optional<EventId> Story::drop_of(const Segment& segment) const {
  for (const EventId id : segment.kernel)
    if (std::holds_alternative<recording::SegmentDropped>(timeline.event(id).what)) return id;
  return std::nullopt;
}

std::optional<EventId> Story::reset_event_of(const Segment& segment) const {
  for (const EventId id : segment.kernel)
    if (const auto* reset = std::get_if<recording::Reset>(&timeline.event(id).what); reset != nullptr && reset->sent)
      return id;
  return std::nullopt;
}

namespace {

// Whoever closed a socket, nobody reads from it any more.
bool reads_after(const Story& story, Side side, EventId event) {
  return std::ranges::any_of(story.calls(side, Effect::receives), [&](const Call* call) {
    return call->entered > event && !call->descriptor_was_closed && story.result(*call) > 0;
  });
}

// Nobody on that side had the socket any more.
bool closed_before(const Story& story, Side side, EventId by) {
  const Call* close = last_close(story, side);
  const auto end = story.end_of_process(side);
  return (close != nullptr && close->entered < by) || (end && *end < by);
}

}  // namespace

Finish finish_of(const Story& story, Side side, EventId by) {
  const Segment* fin = story.fin_of(side);
  const auto* cause = fin == nullptr ? nullptr : &fin->cause;
  const Call* call =
      cause != nullptr && cause->trigger == timeline::Trigger::call && cause->by ? story.call_at(*cause->by) : nullptr;
  bool shut = call != nullptr && Story::effect(*call) == Effect::shuts;
  if (cause != nullptr) {
    shut = shut || cause->kernel_name == "shutdown";
    if (cause->trigger == timeline::Trigger::process_end || cause->kernel_name.starts_with("close") ||
        (call != nullptr && !shut))
      return Finish::closed;
  }
  if (closed_before(story, side, by)) return Finish::closed;
  const auto sent = fin == nullptr ? by : fin->departed;
  if (shut || story.shut_sending(side, story.time(sent)) || (fin != nullptr && reads_after(story, side, sent)))
    return Finish::shut;
  const Segment* reset = story.reset_of(side);
  const bool refuses = reset != nullptr && reset->cause.trigger == timeline::Trigger::segment;
  return refuses ? Finish::takes_no_more : Finish::not_known;
}

Text words_of(Finish finish) {
  switch (finish) {
    case Finish::not_known: return {"had closed, or shut down sending", "已关闭，或关闭了发送方向"};
    case Finish::shut: return {"had shut down sending", "已关闭发送方向"};
    case Finish::closed: return {"had closed", "已关闭"};
    case Finish::takes_no_more: return {"had closed, or shut down both directions", "已关闭，或关闭了两个方向"};
  }
  return {};
}

Finding& Findings::add(std::string_view rule, std::optional<timeline::ConnectionIndex> connection, Grade grade,
                       std::vector<EventId> evidence) {
  std::erase_if(evidence, [](EventId id) { return !id.valid(); });
  std::ranges::sort(evidence);
  evidence.erase(std::ranges::unique(evidence).begin(), evidence.end());
  Finding finding;
  finding.rule = find_rule(rule);
  TCPWHY_CHECK(finding.rule != nullptr);
  TCPWHY_CHECK(!evidence.empty());
  finding.grade = grade;
  finding.connection = connection;
  finding.about = evidence.back();
  finding.evidence = std::move(evidence);
  findings_.push_back(std::move(finding));
  return findings_.back();
}

namespace {

// By the moment they speak of; of the same moment, as the rules found them.
std::vector<Finding> in_order(std::vector<Finding> found) {
  std::vector<std::size_t> order(found.size());
  std::ranges::generate(order, [next = std::size_t{0}]() mutable { return next++; });
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(found[i].about, i); });
  std::vector<Finding> sorted;
  sorted.reserve(found.size());
  for (const std::size_t i : order) sorted.push_back(std::move(found[i]));
  return sorted;
}

}  // namespace

std::vector<Finding> find(const Timeline& timeline) {
  Findings findings;
  const AcceptQueues queues(timeline);
  for (timeline::ConnectionIndex i = 0; i < timeline.connections.size(); ++i) {
    const Story story(timeline, i);
    find_opening(story, findings);
    find_closing(story, findings);
    find_resets(story, findings);
    find_sending(story, findings);
    find_receiving(story, findings);
    find_signals(story, findings);
    find_connecting(story, queues, findings);
    find_giving_up(story, findings);
    find_holding(story, findings);
    find_acknowledging(story, findings);
    find_agreeing(story, findings);
  }
  find_ports_again(timeline, findings);
  find_call_errors(timeline, findings);
  return in_order(findings.take());
}

}  // namespace tcpwhy::explain
