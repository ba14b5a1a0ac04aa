#include "render/documents/json.h"

#include <algorithm>

#include "base/text.h"
#include "explain/texts/catalogue.h"
#include "recording/fields.h"
#include "render/documents/json_parts.h"
#include "render/timeline/words.h"

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
Json value(wire::TcpFlags flags) { return wire::to_string(flags); }
Json value(base::WallTime time) { return base::to_ns(time); }
Json value(recording::EventId id) { return id.value; }
template <class T>
  requires std::is_enum_v<T>
Json value(T member) {
  return recording::name_of(member);
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

void write_connection(JsonWriter& to, const timeline::Timeline& timeline, const timeline::Connection& connection) {
  to.begin_object();
  to.member("opener", side_json(connection.sides[opener], connection.final_states[opener]));
  to.member("listener", side_json(connection.sides[listener], connection.final_states[listener]));
  to.member("began_before_capture", connection.began_before_capture);
  to.begin_array("segments");
  for (const auto s : connection.segments) to.element(segment_json(timeline.segments[s]));
  to.end();
  to.begin_array("state_changes");
  for (const auto& change : connection.changes) to.element(change_json(change));
  to.end();
  to.begin_array("calls");
  for (const auto c : connection.calls) to.element(timeline.calls[c].number);
  to.end();
  to.begin_array("kernel");
  for (const auto& kernel : connection.kernel)
    to.element({{"event", kernel.event.value}, {"side", kernel.side == opener ? "opener" : "listener"}});
  to.end();
  to.end();
}

Json slot_json(const explain::Slot& slot) {
  if (const auto* words = std::get_if<std::string>(&slot)) return clean(*words);
  if (const auto* duration = std::get_if<base::Duration>(&slot)) return {{"ns", duration->count()}};
  return std::get<std::int64_t>(slot);
}

Json finding_json(const explain::Finding& finding, base::Language language) {
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
  for (const auto what : provenance.observed) object["observed"].push_back(recording::name_of(what));
  return object;
}

Json answer_json(const explain::Answer& answer, base::Language language) {
  const auto& question = *std::ranges::find(explain::questions(), answer.number, &explain::Question::number);
  Json object = {{"question", answer.number}, {"text", question.text.in(language)}};
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

void write_recording(JsonWriter& to, const Explained& explained, base::Language language) {
  const auto& recording = *explained.recording;
  to.member("provenance", provenance_json(recording.provenance));
  to.begin_array("actors");
  for (const auto& actor : recording.actors)
    to.element({{"name", clean(actor.name)},
                {"pid", actor.pid},
                {"tid", actor.tid},
                {"command", clean(actor.command)},
                {"host", clean(actor.host)}});
  to.end();
  to.begin_array("interfaces");
  for (const auto& interface : recording.interfaces)
    to.element({{"name", clean(interface.name)},
                {"link_type", static_cast<int>(interface.link_type)},
                {"host", clean(interface.host)}});
  to.end();
  to.begin_array("events");
  for (std::uint32_t i = 0; i < recording.events.size(); ++i) to.element(event_json(recording, i));
  to.end();
  to.begin_array("order");
  for (const auto& entry : explained.timeline.entries) to.element(entry.event.value);
  to.end();
  to.begin_array("connections");
  for (const auto& connection : explained.timeline.connections) write_connection(to, explained.timeline, connection);
  to.end();
  to.begin_array("findings");
  for (const auto& finding : explained.findings) to.element(finding_json(finding, language));
  to.end();
}

void write_json_report(std::span<const Explained> explained, base::Language language, const WriteText& write) {
  JsonWriter to(write);
  to.member("schema", json_schema);
  to.member("language", language == base::Language::zh ? "zh" : "en");
  to.begin_array("recordings");
  for (const Explained& one : explained) {
    to.begin_object();
    write_recording(to, one, language);
    to.end();
  }
  to.end();
  to.begin_array("answers");
  for (const auto& answer : explain::answer(explained, language)) to.element(answer_json(answer, language));
  to.end();
  to.finish();
}

std::string json_report(std::span<const Explained> explained, base::Language language) {
  std::string text;
  write_json_report(explained, language, [&text](std::string_view piece) { text += piece; });
  return text;
}

}  // namespace tcpwhy::render
