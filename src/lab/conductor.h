// Runs one scenario, inside a sandbox: a single thread that tells the ends what to do, watches, and holds each line
// against what happened. It waits for conditions, never for a time to pass (but for `pause` and `nothing for`, which
// are about time).
#pragma once

#include "base/result.h"
#include "lab/lab.h"
#include "lab/language/scenario.h"
#include "recording/recording.h"

namespace tcpwhy::lab {

// In the current network namespace, which is the scenario's own and new (`lo` is down). Lines that don't hold are in
// the recording as ExpectationFailed events; the error is for what kept the scenario from running at all.
base::Result<recording::Recording> conduct(const Scenario& scenario, Family family);

}  // namespace tcpwhy::lab
