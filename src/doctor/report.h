// The answers of `tcpwhy doctor`, shown.
#pragma once

#include <string>
#include <vector>

#include "doctor/probe.h"
#include "render/timeline/text.h"

namespace tcpwhy::doctor {

// A line an answer, and below it what it is needed for and how to get it.
std::string as_text(const std::vector<Probe>& probes, const render::TextOptions& options);
// A JSON document: the ids and answers are for programs, the texts for people.
std::string as_json(const std::vector<Probe>& probes, base::Language language);

}  // namespace tcpwhy::doctor
