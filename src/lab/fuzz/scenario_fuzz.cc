// Any bytes are a scenario or an error with its place; never a crash. What was read keeps the limits, and a typed line
// is as safe.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "lab/language/scenario_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tcpwhy::lab;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto scenario = parse_scenario(text, "fuzz.tcp");
  if (scenario) {
    TCPWHY_CHECK(!scenario->steps.empty() && scenario->steps.size() <= ScenarioLimits::steps);
    TCPWHY_CHECK(scenario->ends.size() <= ScenarioLimits::ends);
    for (const Step& step : scenario->steps) TCPWHY_CHECK(step.at.line >= 1 && step.at.column >= 1);
  } else {
    TCPWHY_CHECK(scenario.error().kind == tcpwhy::base::ErrorKind::usage);
    for (const char c : scenario.error().message.en) TCPWHY_CHECK(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  }
  (void)parse_typed_call(text.substr(0, text.find('\n')));
  return 0;
}
