// docs/JSON.md: tcpwhy-connection/1.
#include <algorithm>
#include <numeric>
#include <span>
#include <vector>

#include "base/language.h"
#include "base/units.h"
#include "explain/texts/catalogue.h"
#include "explain/texts/reset_reasons.h"
#include "explain/texts/wire_counters.h"
#include "explain/texts/wire_words.h"
#include "render/documents/json_parts.h"
#include "render/reports/connection_report.h"
#include "render/timeline/words.h"

namespace tcpwhy::render {
namespace {

using base::Language;
using tcp::EndIndex;
using tcp::SeenConnection;
using tcp::SeenSegment;

Json known_ns(std::int64_t ns) { return ns < 0 ? Json(nullptr) : Json(ns); }

std::string_view grade_of(bool assumed) { return timeline::name(assumed ? Grade::assumed : Grade::derived); }

class Writer {
 public:
  // `packets`: the events of the packets in order of time, if there is a recording.
  Writer(const SeenConnection& seen, Language language, std::span<const EventId> packets)
      : seen_(seen), language_(language), events_(seen.segments.size()) {
    std::vector<std::size_t> by_time(seen.segments.size());
    std::iota(by_time.begin(), by_time.end(), std::size_t{0});
    std::ranges::stable_sort(by_time, {}, [&](std::size_t i) { return seen.segments[i].at_ns; });
    for (std::size_t i = 0; i < packets.size() && i < by_time.size(); ++i) events_[by_time[i]] = packets[i];
  }

  // The members of the object that was begun.
  void write(JsonWriter& to) const {
    const tcp::Tracker& tracker = seen_.tracker;
    const EndIndex opener = seen_.opener();
    to.member("number", seen_.number);
    to.member("opener", end_json(opener));
    to.member("listener", end_json(tcp::opposite(opener)));
    to.member("opener_known", tracker.opener_known());
    to.member("handshake_complete", tracker.handshake_complete());
    to.member("listener_rtt_ns", known_ns(tracker.listener_rtt_ns()));
    to.member("opener_rtt_ns", known_ns(tracker.opener_rtt_ns()));
    to.member("began_ns", tracker.began_ns());
    to.member("ended_ns", tracker.last_ns());
    const auto closer = tracker.first_closer();
    to.member("closed_first", closer ? Json(role(*closer)) : Json(nullptr));
    to.member("closed_first_by_reset", tracker.first_closed_by_reset());
    to.member("ending", ending_words(seen_, language_));
    to.member("reset", reset_json());
    to.member("left_out", seen_.left_out);
    to.member("left_out_before", seen_.left_out > 0 ? Json(seen_.left_out_before) : Json(nullptr));
    to.begin_array("segments");
    for (std::size_t i = 0; i < seen_.segments.size(); ++i) to.element(segment_json(i));
    to.end();
  }

 private:
  [[nodiscard]] std::string_view role(EndIndex end) const { return end == seen_.opener() ? "opener" : "listener"; }

  [[nodiscard]] Json end_json(EndIndex index) const {
    const tcp::End& end = seen_.tracker.end(index);
    Json json = {{"address", wire::to_string(seen_.ends[index])},
                 {"state", tcp::name(end.state)},
                 {"segments", end.segments},
                 {"data_segments", end.data_segments},
                 {"bytes", end.bytes},
                 {"resent_bytes", end.trouble().resent_bytes},
                 {"unseen_bytes", end.unseen_bytes()}};
    for (const auto& counter : explain::wire_counters) json[std::string(counter.id)] = end.*counter.member;
    json["min_rtt_us"] = end.min_rtt_us > 0 ? Json(end.min_rtt_us) : Json(nullptr);
    return json;
  }

  [[nodiscard]] Json reset_json() const {
    const tcp::ResetSeen reset = seen_.tracker.reset();
    if (reset.cause == tcp::ResetCause::none) return nullptr;
    const auto& reason = explain::reset_reason_on_wire(reset.cause);
    const auto say = [&](const base::Text& words) {
      return explain::fill(words.in(language_),
                           {{"who", wire::to_string(seen_.ends[reset.from])},
                            {"peer", wire::to_string(seen_.ends[tcp::opposite(reset.from)])},
                            {"idle", base::age_in_words(base::Duration(reset.idle_ns))}},
                           language_);
    };
    return {{"by", role(reset.from)},
            {"frame", reset.frame},
            {"at_ns", reset.at_ns},
            {"cause", tcp::name(reset.cause)},
            {"grade", grade_of(reset.assumed)},
            {"text", say(reason.on_wire.sentence)},
            {"because", say(explain::because(reset))},
            {"or_else", reset.assumed ? Json(say(reason.on_wire.or_else)) : Json(nullptr)},
            {"remedy", say(reason.remedy)}};
  }

  [[nodiscard]] Json segment_json(std::size_t index) const {
    const SeenSegment& seen = seen_.segments[index];
    const tcp::Verdict& verdict = seen.verdict;
    Json object = {{"frame", seen.frame},
                   {"at_ns", seen.at_ns},
                   {"since_ns", index == 0 ? Json(nullptr) : Json(seen.at_ns - seen_.segments[index - 1].at_ns)},
                   {"from", role(seen.from)},
                   {"flags", wire::to_string(seen.segment.flags)},
                   {"seq", verdict.seq},
                   {"ack", seen.segment.flags.ack() ? Json(seen.ack) : Json(nullptr)},
                   {"length", seen.segment.payload_length},
                   {"window", seen.segment.window},
                   {"kind", tcp::name(verdict.kind)}};
    if (verdict.reason != tcp::RetransmissionReason::none) object["reason"] = tcp::name(verdict.reason);
    if (verdict.illegality != tcp::Illegality::none) {
      object["illegality"] = tcp::name(verdict.illegality);
      object["clause"] = explain::clause_of(verdict.illegality);
    }
    if (verdict.reset_cause != tcp::ResetCause::none) object["reset_cause"] = tcp::name(verdict.reset_cause);
    object["marks"] = Json::array();
    for (int bit = 0; bit < tcp::mark::count; ++bit)
      if ((1U << static_cast<unsigned>(bit)) != tcp::mark::assumed && verdict.has(1U << static_cast<unsigned>(bit)))
        object["marks"].push_back(tcp::mark_name(bit));
    object["grade"] = grade_of(verdict.has(tcp::mark::assumed));
    object["in_flight"] = verdict.in_flight;
    object["rtt_ns"] = known_ns(verdict.rtt_ns);
    for (const EndIndex end : {seen_.opener(), tcp::opposite(seen_.opener())})
      object["states"][std::string(role(end))] = tcp::name(seen.states[end]);
    object["summary"] = segment_words(seen.segment, verdict.seq, seen.ack);
    object["words"] = explain::segment_in_words(verdict, language_);
    if (events_[index].valid()) object["event"] = events_[index].value;
    return object;
  }

  const SeenConnection& seen_;
  Language language_;
  std::vector<EventId> events_;  // of the segments' packets; invalid: no recording
};

Json problems_json(std::span<const ConnectionProblem> problems) {
  Json all = Json::array();
  for (const ConnectionProblem& problem : problems)
    all.push_back({{"id", problem.id},
                   {"severity", explain::name(problem.severity)},
                   {"grade", timeline::name(problem.grade)},
                   {"frame", problem.frame == 0 ? Json(nullptr) : Json(problem.frame)},
                   {"count", problem.count},
                   {"text", problem.text},
                   {"remedy", problem.remedy}});
  return all;
}

}  // namespace

void write_connection_json(const ConnectionReport& report, Language language, const WriteText& write) {
  JsonWriter to(write);
  to.member("schema", connection_schema);
  to.member("language", language == Language::zh ? "zh" : "en");
  std::vector<EventId> packets;
  if (report.explained != nullptr) packets = report.explained->timeline.all<recording::Packet>();
  to.begin_object("connection");
  Writer(report.seen, language, packets).write(to);
  to.member("problems", problems_json(report.problems));
  to.end();
  if (report.explained != nullptr) {
    to.begin_object("recording");
    write_recording(to, *report.explained, language);
    to.end();
  }
  to.finish();
}

std::string connection_json(const ConnectionReport& report, Language language) {
  std::string text;
  write_connection_json(report, language, [&text](std::string_view piece) { text += piece; });
  return text;
}

}  // namespace tcpwhy::render
