#include <fmt/format.h>

#include "explain/story.h"

namespace tcpwhy::explain {
namespace {

using timeline::listener;
using timeline::opener;

struct Handshake {
  const Segment* syn = nullptr;
  const Segment* syn_ack = nullptr;
  const Segment* ack = nullptr;
};

Handshake handshake_of(const Story& story) {
  Handshake found;
  for (const auto s : story.connection.segments) {
    const Segment& segment = story.timeline.segments[s];
    if (segment.segment_class == tcp::SegmentClass::syn && found.syn == nullptr) found.syn = &segment;
    if (segment.segment_class == tcp::SegmentClass::syn_ack && found.syn_ack == nullptr) found.syn_ack = &segment;
    if (found.syn_ack != nullptr && segment.from == opener && segment.receiver_change &&
        segment.receiver_change->to == tcp::State::established)
      found.ack = &segment;
    if (found.ack != nullptr) break;
  }
  return found;
}

const Call* connect_call(const Story& story) {
  const auto& calls = story.calls(opener, Effect::connects);
  return calls.empty() ? nullptr : calls.front();
}

std::string agreed_options(const wire::TcpOptions& a, const wire::TcpOptions& b) {
  std::string text;
  const auto add = [&](std::string_view what) { text += (text.empty() ? "" : ", ") + std::string(what); };
  if (a.sack_permitted && b.sack_permitted) add("SACK");
  if (a.timestamps && b.timestamps) add("timestamps");
  if (a.window_scale && b.window_scale) add(fmt::format("window scale {}/{}", *a.window_scale, *b.window_scale));
  return text.empty() ? "–" : text;
}

void find_options(const Story& story, const Handshake& shake, Findings& findings) {
  const auto& asked = shake.syn->tcp.options;
  const auto& answered = shake.syn_ack->tcp.options;
  auto& finding = findings.add("open.options", story, Grade::observed,
                               {shake.syn->departed, shake.syn_ack->departed, *shake.ack->arrived});
  finding.slots = {{"opener", story.name(opener)},
                   {"listener", story.name(listener)},
                   {"mss_opener", std::int64_t{asked.maximum_segment_size.value_or(536)}},
                   {"mss_listener", std::int64_t{answered.maximum_segment_size.value_or(536)}},
                   {"agreed", agreed_options(asked, answered)}};
}

// The connection stood before, or without, accept().
void find_accept(const Story& story, const Handshake& shake, Findings& findings) {
  if (!story.calls_known() || !story.connection.sides[listener].listens) return;
  const auto established = story.arrival(shake.ack);
  if (!established) return;
  const auto& accepts = story.calls(listener, Effect::accepts);
  if (accepts.empty()) {
    auto& finding = findings.add("open.never_accepted", story, Grade::observed, {*shake.ack->arrived});
    finding.slots = {{"listener", story.name(listener)}};
    return;
  }
  const Call& accept = *accepts.front();
  if (story.time(accept.entered) <= *established) return;
  auto& finding = findings.add("open.before_accept", story, Grade::observed,
                               {*shake.ack->arrived, accept.entered, accept.returned.value_or(EventId{})});
  finding.slots = {{"listener", story.name(listener)}, {"waited", story.time(accept.entered) - *established}};
}

}  // namespace

void find_opening(const Story& story, Findings& findings) {
  const Handshake shake = handshake_of(story);
  if (shake.syn == nullptr || shake.syn_ack == nullptr || shake.ack == nullptr) return;
  auto& stood = findings.add("open.handshake", story, Grade::observed,
                             {shake.syn->departed, shake.syn_ack->departed, *shake.ack->arrived});
  stood.slots = {{"opener", story.name(opener)},
                 {"listener", story.name(listener)},
                 {"took", story.time(*shake.ack->arrived) - story.time(shake.syn->departed)}};
  const Call* connect = connect_call(story);
  if (connect != nullptr && connect->returned && shake.syn->departed > connect->entered &&
      shake.ack->departed < *connect->returned) {
    auto& inside = findings.add("open.inside_connect", story, Grade::observed,
                                {connect->entered, shake.ack->departed, *connect->returned});
    inside.slots = {{"opener", story.name(opener)},
                    {"connect", story.time(*connect->returned) - story.time(connect->entered)}};
  }
  find_accept(story, shake, findings);
  find_options(story, shake, findings);
}

}  // namespace tcpwhy::explain
