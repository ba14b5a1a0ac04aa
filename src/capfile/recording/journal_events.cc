#include "capfile/recording/journal_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "capfile/formats/tick_clock.h"
#include "capfile/recording/field_text.h"
#include "recording/fields.h"

namespace tcpwhy::capfile {
namespace {

using recording::What;

constexpr std::uint8_t most_timestamp_digits = 9;
constexpr std::string_view prefix = "TCPWHY_";
constexpr std::string_view wire_kind_names[] = {"unknown", "loopback", "link"};

// "step_line" -> "TCPWHY_STEP_LINE"
std::string field_name(std::string_view member) {
  std::string name(prefix);
  for (const char c : member) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name;
}

// Text that is empty, a value without a name and optionals that are absent are left out: reading starts with the same.
template <class T>
void append_member(std::string& entry, std::string_view name, const T& member) {
  append_field(entry, field_name(name), to_text(member));
}
void append_member(std::string& entry, std::string_view name, const std::string& member) {
  if (!member.empty()) append_field(entry, field_name(name), member);
}
template <Enum T>
void append_member(std::string& entry, std::string_view name, const T& member) {
  if (const auto text = recording::name_of(member); !text.empty()) append_field(entry, field_name(name), text);
}
template <class T>
void append_member(std::string& entry, std::string_view name, const std::optional<T>& member) {
  if (member) append_field(entry, field_name(name), to_text(*member));
}

// The fields that journalctl and Wireshark know.
void append_common_fields(std::string& entry, base::WallTime at, const std::string& line) {
  append_field(entry, "__REALTIME_TIMESTAMP", to_text(base::to_ns(at) / 1000));
  append_field(entry, "MESSAGE", line);
}

template <std::size_t... Index>
std::optional<What> make_kind(std::string_view name, std::index_sequence<Index...>) {
  std::optional<What> made;
  const auto consider = [&]<std::size_t I>() {
    const What candidate(std::in_place_index<I>);
    if (recording::kind_name(candidate) == name) made = candidate;
  };
  (consider.template operator()<Index>(), ...);
  return made;
}

// An event of that kind with every member at its default; nothing for a packet, which is never a journal entry.
std::optional<What> make_kind(std::string_view name) {
  auto made = make_kind(name, std::make_index_sequence<std::variant_size_v<What>>{});
  if (made && std::holds_alternative<recording::Packet>(*made)) return std::nullopt;
  return made;
}

// Sets `member` from the field named after it, where there is one. False if the field's text is not of its type.
template <class T>
bool read_member(const std::vector<JournalField>& fields, std::string_view name, T& member) {
  const auto text = find_field(fields, field_name(name));
  return !text || from_text(*text, member);
}

// The nanoseconds, or else journald's microseconds.
bool read_time(const std::vector<JournalField>& fields, base::WallTime& at) {
  if (find_field(fields, field_name("time_ns"))) return read_member(fields, "time_ns", at);
  const auto text = find_field(fields, "__REALTIME_TIMESTAMP");
  std::int64_t us = 0;
  if (!text || !from_text(*text, us)) return false;
  at = bounded_time(static_cast<__int128>(us) * 1000);
  return true;
}

}  // namespace

std::string event_entry(const recording::Recording& recording, std::size_t position, const std::string& line) {
  const recording::Event& event = recording.events[position];
  TCPWHY_CHECK(!event.actor.valid() || event.actor.value < recording.actors.size());
  const recording::Actor* actor = event.actor.valid() ? &recording.actors[event.actor.value] : nullptr;
  std::string entry;
  append_common_fields(entry, event.at, actor == nullptr ? line : actor->name + ": " + line);
  if (actor != nullptr && actor->pid != 0) append_field(entry, "_PID", to_text(actor->pid));
  if (actor != nullptr && !actor->command.empty()) append_field(entry, "_COMM", actor->command);
  append_member(entry, "kind", std::string(recording::kind_name(event.what)));
  append_member(entry, "event", position);
  append_member(entry, "time_ns", event.at);
  if (actor != nullptr) append_member(entry, "actor", event.actor.value);
  std::visit(
      [&entry](const auto& what) {
        if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(what)>, recording::Packet>)
          visit_fields(what,
                       [&entry](std::string_view name, const auto& member) { append_member(entry, name, member); });
      },
      event.what);
  return entry;
}

std::expected<DecodedEvent, NoEvent> decode_event(const std::vector<JournalField>& fields) {
  std::string kind;
  if (!read_member(fields, "kind", kind) || kind.empty()) return std::unexpected(NoEvent::foreign);
  auto what = make_kind(kind);
  if (!what) return std::unexpected(NoEvent::foreign);

  DecodedEvent decoded;
  bool good = read_time(fields, decoded.event.at) && read_member(fields, "event", decoded.id) &&
              read_member(fields, "actor", decoded.event.actor.value);
  std::visit(
      [&](auto& made) {
        if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(made)>, recording::Packet>)
          visit_fields(made,
                       [&](std::string_view name, auto& member) { good = read_member(fields, name, member) && good; });
      },
      *what);
  if (!good) return std::unexpected(NoEvent::broken);
  decoded.event.what = std::move(*what);
  return decoded;
}

namespace {

// The header's members that are one text each.
template <class Provenance, class F>
void visit_texts(Provenance& provenance, F&& f) {
  f("title", provenance.title), f("scenario", provenance.scenario), f("host", provenance.host);
}

template <class Actor, class F>
void visit_actor(Actor& actor, F&& f) {
  f("name", actor.name), f("pid", actor.pid), f("tid", actor.tid), f("command", actor.command), f("host", actor.host);
}

// What of an interface is not in its Interface Description Block, or only changed.
template <class Interface, class F>
void visit_interface(Interface& interface, F&& f) {
  f("host", interface.host), f("snap_length", interface.snap_length), f("timestamp_digits", interface.timestamp_digits);
}

// KEY=VALUE, in which the key's = and \ have a \ before them.
std::string pair_text(const std::string& key, const std::string& value) {
  std::string text;
  for (const char c : key) {
    if (c == '=' || c == '\\') text += '\\';
    text += c;
  }
  return text + "=" + value;
}

void read_pair(std::string_view text, std::map<std::string, std::string>& into) {
  std::string key;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '=') {
      into.try_emplace(std::move(key), text.substr(i + 1));
      return;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    key += text[i];
  }
}

// "TCPWHY_ACTOR_12_NAME" -> 12, "NAME"
struct Indexed {
  std::size_t index;
  std::string_view member;
};
std::optional<Indexed> indexed(std::string_view name, std::string_view list) {
  if (!name.starts_with(list)) return std::nullopt;
  name.remove_prefix(list.size());
  const std::size_t underscore = name.find('_');
  Indexed found{};
  if (underscore == std::string_view::npos || !from_text(name.substr(0, underscore), found.index)) return std::nullopt;
  found.member = name.substr(underscore + 1);
  return found;
}

// Sets the member of that upper-case name; a text that is not of its type leaves it as it is.
auto setter(std::string_view member_name, std::string_view value) {
  return [member_name, value](std::string_view name, auto& member) {
    if (field_name(name).substr(prefix.size()) == member_name) from_text(value, member);
  };
}

void read_actor_field(const Indexed& field, std::string_view value, std::vector<recording::Actor>& actors) {
  if (field.index == actors.size()) actors.emplace_back();  // they stand in order, each with its name first
  if (field.index + 1 != actors.size()) return;
  visit_actor(actors.back(), setter(field.member, value));
}

// The name comes first and always, so that an actor of whom nothing is known keeps his number.
void append_actor(std::string& entry, std::size_t number, const recording::Actor& actor) {
  visit_actor(actor, [&entry, number](std::string_view name, const auto& member) {
    const std::string text = to_text(member);
    if (name == "name" || !text.empty())
      append_field(entry, field_name(fmt::format("actor_{}_{}", number, name)), text);
  });
}

}  // namespace

std::string recording_entry(const recording::Recording& recording, std::uint32_t file_snap_length) {
  const recording::Provenance& provenance = recording.provenance;
  std::string entry;
  append_common_fields(entry, recording.events.empty() ? base::WallTime{} : recording.events.front().at,
                       section_summary(provenance));
  append_member(entry, "kind", std::string(recording_kind));
  append_member(entry, "format", 1);
  visit_texts(provenance,
              [&entry](std::string_view name, const std::string& text) { append_member(entry, name, text); });
  append_member(entry, "wire", std::string(wire_kind_names[static_cast<std::size_t>(provenance.wire)]));
  for (const auto observed : provenance.observed) append_field(entry, "TCPWHY_OBSERVED", recording::name_of(observed));
  for (const auto& [key, value] : provenance.labels) append_field(entry, "TCPWHY_LABEL", pair_text(key, value));
  for (const auto& [key, value] : provenance.settings) append_field(entry, "TCPWHY_SETTING", pair_text(key, value));
  for (std::size_t i = 0; i < recording.actors.size(); ++i) append_actor(entry, i, recording.actors[i]);
  for (std::size_t i = 0; i < recording.interfaces.size(); ++i) {
    const recording::Interface& interface = recording.interfaces[i];
    const auto name = [i](std::string_view member) { return fmt::format("interface_{}_{}", i, member); };
    append_member(entry, name("host"), interface.host);
    if (interface.snap_length != file_snap_length) append_member(entry, name("snap_length"), interface.snap_length);
    append_member(entry, name("timestamp_digits"), interface.timestamp_digits);
  }
  return entry;
}

bool decode_recording_entry(const std::vector<JournalField>& fields, recording::Recording& recording) {
  if (find_field(fields, "TCPWHY_KIND") != recording_kind) return false;
  recording::Provenance& provenance = recording.provenance;
  visit_texts(provenance, [&fields](std::string_view name, std::string& text) { read_member(fields, name, text); });
  if (const auto wire = find_field(fields, "TCPWHY_WIRE")) {
    const auto* found = std::ranges::find(wire_kind_names, *wire);
    if (found != std::end(wire_kind_names)) provenance.wire = recording::WireKind(found - std::begin(wire_kind_names));
  }
  for (const auto& [name, value] : fields) {
    if (name == "TCPWHY_OBSERVED")
      if (const auto observed = recording::observation_named(value)) provenance.observed.add(*observed);
    if (name == "TCPWHY_LABEL") read_pair(value, provenance.labels);
    if (name == "TCPWHY_SETTING") read_pair(value, provenance.settings);
    if (const auto field = indexed(name, "TCPWHY_ACTOR_")) read_actor_field(*field, value, recording.actors);
    if (const auto field = indexed(name, "TCPWHY_INTERFACE_"); field && field->index < recording.interfaces.size())
      visit_interface(recording.interfaces[field->index], setter(field->member, value));
  }
  for (recording::Interface& interface : recording.interfaces)
    interface.timestamp_digits = std::min(interface.timestamp_digits, most_timestamp_digits);
  return true;
}

std::string section_summary(const recording::Provenance& provenance) {
  std::string observed;
  for (const auto what : provenance.observed)
    observed += fmt::format("{}{}", observed.empty() ? "" : ", ", recording::name_of(what));
  std::string summary = "tcpwhy recording";
  const auto add = [&summary](std::string_view label, const std::string& text) {
    if (!text.empty()) summary += fmt::format("; {}{}", label, text);
  };
  add("", provenance.title);
  add("host ", provenance.host);
  add("kernel ", provenance.kernel);
  if (provenance.wire != recording::WireKind::unknown)
    add("wire ", std::string(wire_kind_names[static_cast<std::size_t>(provenance.wire)]));
  add("observed: ", observed);
  return summary;
}

}  // namespace tcpwhy::capfile
