#include "render/json.h"

#include <algorithm>

#include "base/text.h"
#include "explain/catalogue.h"
#include "recording/fields.h"
#include "render/json_parts.h"
#include "render/words.h"

namespace tcpwhy::render {
namespace {

using explain::Explained;
using timeline::listener;
using timeline::opener;
using timeline::Side;

// JSON text is UTF-8: whatever is not is written as \xHH, as everywhere else.
std::string clean(std::string_view text) { return base::escape_controls(text); }

Json value(const std::string& text) { return clean(text); }
Json value(const wire::SocketAddress& address) { return wire::to_string(address); }
Json value(base::WallTime time) { return base::to_ns(time); }
Json value(recording::EventId id) { return id.value; }
Json value(recording::SignalFate fate) {
  constexpr std::string_view names[] = {"generated", "delivered", "handled", "ignored", "blocked"};
  return names[static_cast<std::size_t>(fate)];
}
Json value(bool flag) { return flag; }
template <std::integral T>
Json value(T number) {
  return number;
}
template <class T>
Json value(const std::optional<T>& maybe) {
  return maybe ? value(*maybe) : Json(nullptr);
}

template <class E>
void add_fields(Json& object, const E& event) {
  recording::visit_fields(
      event, [&](std::string_view name, const auto& member) { object[std::string(name)] = value(member); });
}

void add_fields(Json& object, const recording::Packet& packet) {
  object["interface"] = packet.interface.value;
  object["captured_length"] = packet.bytes.size();
  object["original_length"] = packet.original_length;
  if (!packet.comments.empty()) {
    object["comments"] = Json::array();
    for (const auto& comment : packet.comments) object["comments"].push_back(clean(comment));
  }
}

Json event_json(const recording::Recording& recording, std::uint32_t id) {
  const auto& event = recording.events[id];
  Json object = {{"id", id}, {"at_ns", base::to_ns(event.at)}, {"kind", recording::kind_name(event.what)}};
  if (event.actor.valid()) object["actor"] = event.actor.value;
  std::visit([&](const auto& what) { add_fields(object, what); }, event.what);
  return object;
}

Json change_json(const timeline::SideChange& change) {
  Json object = {{"side", change.side == opener ? "opener" : "listener"},
                 {"from", tcp::name(change.from)},
                 {"to", tcp::name(change.to)},
                 {"event", change.event.value},
                 {"clause", change.clause},
                 {"grade", timeline::name(change.sampled ? timeline::Grade::observed : timeline::Grade::derived)}};
  object["sample"] = change.sampled ? Json(change.sampled->value) : Json(nullptr);
  return object;
}

Json cause_json(const timeline::Cause& cause) {
  Json object = {
      {"trigger", timeline::name(cause.trigger)}, {"grade", timeline::name(cause.grade)}, {"rule", cause.rule}};
  if (cause.timer != timeline::Timer::none) object["timer"] = timeline::name(cause.timer);
  object["by"] = cause.by ? Json(cause.by->value) : Json(nullptr);
  for (const auto id : cause.evidence) object["evidence"].push_back(id.value);
  if (!cause.or_else.empty()) object["or_else"] = cause.or_else;
  if (cause.kernel) object["kernel"] = {{"event", cause.kernel->value}, {"name", clean(cause.kernel_name)}};
  return object;
}

Json segment_json(const timeline::Segment& segment) {
  Json kernel = Json::array();
  for (const auto id : segment.kernel) kernel.push_back(id.value);
  return {{"departed", segment.departed.value},
          {"arrived", segment.arrived ? Json(segment.arrived->value) : Json(nullptr)},
          {"from", segment.from == opener ? "opener" : "listener"},
          {"flags", wire::to_string(segment.tcp.flags)},
          {"seq", segment.seq},
          {"ack", segment.tcp.flags.ack() ? Json(segment.ack) : Json(nullptr)},
          {"length", segment.tcp.payload_length},
          {"class", tcp::name(segment.segment_class)},
          {"summary", segment_words(segment)},
          {"cause", cause_json(segment.cause)},
          {"kernel", std::move(kernel)}};
}

Json side_json(const timeline::ConnectionSide& side, tcp::State final_state) {
  Json object = {{"address", wire::to_string(side.address)}, {"name", clean(side.name)}, {"socket", side.socket}};
  object["isn"] = side.isn ? Json(side.isn->value) : Json(nullptr);
  object["bytes_sent"] = side.bytes_sent;
  object["final_state"] = tcp::name(final_state);
  object["actors"] = Json::array();
  for (const auto actor : side.actors) object["actors"].push_back(actor.value);
  return object;
}

Json connection_json(const timeline::Timeline& timeline, const timeline::Connection& connection) {
  Json object = {{"opener", side_json(connection.sides[opener], connection.final_states[opener])},
                 {"listener", side_json(connection.sides[listener], connection.final_states[listener])},
                 {"began_before_capture", connection.began_before_capture}};
  object["segments"] = Json::array();
  for (const auto s : connection.segments) object["segments"].push_back(segment_json(timeline.segments[s]));
  object["state_changes"] = Json::array();
  for (const auto& change : connection.changes) object["state_changes"].push_back(change_json(change));
  object["calls"] = Json::array();
  for (const auto c : connection.calls) object["calls"].push_back(timeline.calls[c].number);
  object["kernel"] = Json::array();
  for (const auto& kernel : connection.kernel)
    object["kernel"].push_back(
        {{"event", kernel.event.value}, {"side", kernel.side == opener ? "opener" : "listener"}});
  return object;
}

Json slot_json(const explain::Slot& slot) {
  if (const auto* words = std::get_if<std::string>(&slot)) return clean(*words);
  if (const auto* duration = std::get_if<base::Duration>(&slot)) return {{"ns", duration->count()}};
  return std::get<std::int64_t>(slot);
}

Json finding_json(const explain::Finding& finding, explain::Language language) {
  Json object = {{"rule", finding.rule->id},
                 {"severity", explain::name(finding.rule->severity)},
                 {"grade", timeline::name(finding.grade)},
                 {"text", explain::say(finding, language)},
                 {"remedy", explain::remedy(finding, language)},
                 {"when", finding.rule->when},
                 {"rests_on", finding.rule->rests_on},
                 {"cannot_know", finding.rule->cannot_know}};
  object["connection"] = finding.connection ? Json(*finding.connection) : Json(nullptr);
  object["evidence"] = Json::array();
  for (const auto id : finding.evidence) object["evidence"].push_back(id.value);
  object["slots"] = Json::object();
  for (const auto& [name, slot] : finding.slots) object["slots"][name] = slot_json(slot);
  return object;
}

Json provenance_json(const recording::Provenance& provenance) {
  constexpr std::string_view wires[] = {"unknown", "loopback", "link"};
  Json object = {{"title", clean(provenance.title)},
                 {"host", clean(provenance.host)},
                 {"kernel", clean(provenance.kernel)},
                 {"program", clean(provenance.program)},
                 {"wire", wires[static_cast<std::size_t>(provenance.wire)]}};
  object["labels"] = Json::object();
  for (const auto& [name, text] : provenance.labels) object["labels"][clean(name)] = clean(text);
  object["settings"] = Json::object();
  for (const auto& [name, text] : provenance.settings) object["settings"][clean(name)] = clean(text);
  object["observed"] = Json::array();
  for (const auto& what : provenance.observed) object["observed"].push_back(clean(what));
  return object;
}

Json answer_json(const explain::Answer& answer, explain::Language language) {
  const auto& question = *std::ranges::find(explain::questions(), answer.number, &explain::Question::number);
  Json object = {{"question", answer.number}, {"text", language == explain::Language::zh ? question.zh : question.en}};
  object["clauses"] = Json::array();
  for (const auto& clause : answer.clauses) {
    Json one = {{"text", clause.text}, {"grade", timeline::name(clause.grade)}, {"experiments", Json::array()}};
    for (const auto& title : clause.experiments) one["experiments"].push_back(clean(title));
    object["clauses"].push_back(std::move(one));
  }
  object["missing"] = answer.missing;
  return object;
}

}  // namespace

Json recording_json(const Explained& explained, explain::Language language) {
  const auto& recording = *explained.recording;
  Json object = {{"provenance", provenance_json(recording.provenance)}};
  object["actors"] = Json::array();
  for (const auto& actor : recording.actors)
    object["actors"].push_back({{"name", clean(actor.name)},
                                {"pid", actor.pid},
                                {"tid", actor.tid},
                                {"command", clean(actor.command)},
                                {"host", clean(actor.host)}});
  object["interfaces"] = Json::array();
  for (const auto& interface : recording.interfaces)
    object["interfaces"].push_back({{"name", clean(interface.name)},
                                    {"link_type", static_cast<int>(interface.link_type)},
                                    {"host", clean(interface.host)}});
  object["events"] = Json::array();
  for (std::uint32_t i = 0; i < recording.events.size(); ++i) object["events"].push_back(event_json(recording, i));
  object["order"] = Json::array();
  for (const auto& entry : explained.timeline.entries) object["order"].push_back(entry.event.value);
  object["connections"] = Json::array();
  for (const auto& connection : explained.timeline.connections)
    object["connections"].push_back(connection_json(explained.timeline, connection));
  object["findings"] = Json::array();
  for (const auto& finding : explained.findings) object["findings"].push_back(finding_json(finding, language));
  return object;
}

std::string json_report(std::span<const Explained> explained, explain::Language language) {
  Json document = {{"schema", json_schema}, {"language", language == explain::Language::zh ? "zh" : "en"}};
  document["recordings"] = Json::array();
  for (const Explained& one : explained) document["recordings"].push_back(recording_json(one, language));
  document["answers"] = Json::array();
  for (const auto& answer : explain::answer(explained, language))
    document["answers"].push_back(answer_json(answer, language));
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace tcpwhy::render
