#include "capfile/recording/recording_rules.h"

#include <algorithm>
#include <map>
#include <type_traits>
#include <utility>

#include "recording/fields.h"

namespace tcpwhy::capfile {
namespace {

using namespace recording;

class Checker {
 public:
  explicit Checker(UncheckedRecording unchecked)
      : recording_(std::move(unchecked.recording)), ids_(std::move(unchecked.ids)), broken_(unchecked.broken_rows) {}

  Recording check() {
    keep_.assign(recording_.events.size(), true);
    forget_unknown_actors();
    leave_out_contradicting_calls();
    index_ids();
    leave_out_causes_of_no_packet();
    repair_references();
    leave_out();
    add_loss();
    renumber_large_calls();
    return std::move(recording_);
  }

 private:
  enum class CallState : std::uint8_t { entered, returned };

  void forget_unknown_actors() {
    for (Event& event : recording_.events)
      if (event.actor.value >= recording_.actors.size()) event.actor = {};
  }

  // A call is entered once, and returns at most once, after that.
  void leave_out_contradicting_calls() {
    for (std::size_t i = 0; i < recording_.events.size(); ++i) {
      const What& what = recording_.events[i].what;
      if (const auto* entered = std::get_if<CallEntered>(&what))
        keep_[i] = calls_.try_emplace(entered->call, CallState::entered).second;
      if (const auto* returned = std::get_if<CallReturned>(&what)) {
        const auto call = calls_.find(returned->call);
        keep_[i] = call != calls_.end() && call->second == CallState::entered;
        if (keep_[i]) call->second = CallState::returned;
      }
    }
  }

  // Only causes refer to events by id; most files have none.
  void index_ids() {
    const bool needed = std::ranges::any_of(
        recording_.events, [](const Event& event) { return std::holds_alternative<SegmentCause>(event.what); });
    if (!needed) return;
    for (std::size_t i = 0; i < ids_.size(); ++i)
      if (ids_[i]) position_of_.try_emplace(*ids_[i], i);
  }

  [[nodiscard]] std::optional<std::size_t> find(EventId id) const {
    const auto found = position_of_.find(id.value);
    if (!id.valid() || found == position_of_.end()) return std::nullopt;
    return found->second;
  }

  void leave_out_causes_of_no_packet() {
    for (std::size_t i = 0; i < recording_.events.size(); ++i) {
      const auto* cause = std::get_if<SegmentCause>(&recording_.events[i].what);
      if (cause == nullptr || !cause->packet.valid()) continue;
      const auto packet = find(cause->packet);
      keep_[i] = packet && std::holds_alternative<Packet>(recording_.events[*packet].what);
    }
  }

  // References of the kept events: ids of the file become positions among the kept, or nothing.
  void repair_references() {
    std::vector<std::uint32_t> new_position(keep_.size());
    std::uint32_t kept = 0;
    for (std::size_t i = 0; i < keep_.size(); ++i) {
      new_position[i] = kept;
      if (keep_[i]) ++kept;
    }
    const auto resolve = [&](EventId id) -> std::optional<EventId> {
      const auto position = find(id);
      if (!position || !keep_[*position]) return std::nullopt;
      return EventId{new_position[*position]};
    };
    for (std::size_t i = 0; i < keep_.size(); ++i)
      if (keep_[i]) repair(recording_.events[i].what, resolve);
  }

  template <class Resolve>
  void repair(What& what, const Resolve& resolve) {
    const auto repair_member = [&](std::string_view name, auto& member) {
      using Member = std::remove_cvref_t<decltype(member)>;
      if constexpr (std::is_same_v<Member, EventId>) member = resolve(member).value_or(EventId{});
      if constexpr (std::is_same_v<Member, std::optional<EventId>>)
        if (member) member = resolve(*member);
      if constexpr (std::is_same_v<Member, std::optional<std::uint32_t>>)
        if (name == "call" && member && !calls_.contains(*member)) member.reset();
    };
    std::visit(
        [&repair_member](auto& event) {
          if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(event)>, Packet>)
            visit_fields(event, repair_member);
        },
        what);
  }

  void leave_out() {
    if (std::ranges::find(keep_, false) == keep_.end()) return;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < keep_.size(); ++i) {
      if (!keep_[i]) continue;
      if (kept != i) recording_.events[kept] = std::move(recording_.events[i]);
      ++kept;
    }
    broken_ += keep_.size() - kept;
    recording_.events.resize(kept);
  }

  void add_loss() {
    if (broken_ == 0) return;
    const base::WallTime at = recording_.events.empty() ? base::WallTime{} : recording_.events.back().at;
    recording_.events.push_back(
        {.at = at,
         .actor = {},
         .what = Loss{"events", broken_, "rows of the file that contradict themselves or each other"}});
  }

  // So that what follows may use call numbers as indexes.
  void renumber_large_calls() {
    const std::size_t limit = recording_.events.size();
    if (calls_.empty() || calls_.rbegin()->first <= limit) return;
    std::map<std::uint32_t, std::uint32_t> numbers;
    const auto renumber = [&numbers](std::uint32_t& call) {
      call = numbers.try_emplace(call, static_cast<std::uint32_t>(numbers.size())).first->second;
    };
    for (Event& event : recording_.events)
      std::visit(
          [&renumber](auto& what) {
            if constexpr (requires { what.call; }) {
              if constexpr (std::is_same_v<decltype(what.call), std::uint32_t>)
                renumber(what.call);
              else if (what.call)
                renumber(*what.call);
            }
          },
          event.what);
  }

  Recording recording_;
  std::vector<std::optional<std::uint64_t>> ids_;
  std::uint64_t broken_;
  std::vector<bool> keep_;
  // Ordered maps: hostile numbers cannot make them slow, as they could a hash table.
  std::map<std::uint32_t, CallState> calls_;
  std::map<std::uint64_t, std::size_t> position_of_;
};

}  // namespace

Recording checked(UncheckedRecording unchecked) { return Checker(std::move(unchecked)).check(); }

}  // namespace tcpwhy::capfile
