//! What `--help` shows beside the flags.

pub(crate) const EXAMPLES: &str = "\
Examples:
  llmeter demo
      See a load test run against the built-in simulator.
  llmeter run --base-url http://localhost:8000/v1 --model my-model --prompt 'Tell me a story.' \\
              --max-tokens 128 --clients 16 --requests 10
      Measure an OpenAI-compatible server: 16 clients, 10 requests each.
  llmeter probe --base-url http://localhost:8000/v1 --model my-model
      Send one request and inspect it; do this first with a new endpoint.
  llmeter show runs/20260102-0304
      Print the summary of a run again.
  llmeter list runs --where 'ttft-p99 < 500ms'
      List runs.
  llmeter cost runs/20260102-0304 --cost-input 3.00 --cost-output 15.00
      Compute what it cost.

Exit codes:
  0 success   1 could not run   2 bad usage   3 every request failed
  4 --strict and the verdict is not clean   5 a condition of --fail-if holds
  6 stopped by --max-failures or --stop-on-error-rate, even if every request failed
  7 measured, but not all files could be written   130 interrupted, results saved

Environment:
  OPENAI_API_KEY                         the API key, unless --api-key-env names another variable
  LLMETER_DISABLE_ALL_PROGRESS_BARS=1    show no progress
  LLMETER_LOG=warn|info|debug            write a log to standard error
  NO_COLOR=1                             no colours";

pub(crate) const LOAD_TEST_EXAMPLES: &str = "\
Examples:
  llmeter load-test --base-url http://localhost:8000/v1 --model my-model \\
                    --prompt 'Tell me a story.' --clients 1,2,4,8,16 --duration 30s
      Five levels of 30 s each; the table names the knee.
  llmeter load-test --base-url http://localhost:8000/v1 --model my-model --payload prompts.jsonl \\
                    --clients 1,4,16,64 --requests 20 --run-name nightly --resume
      20 requests for each client; levels that a test called nightly has completed are kept.
  llmeter show runs/nightly
      Print the table of a load test again.

Each level has a run folder of its own, DIR/RUN-NAME/00016-clients, and callbacks once. --max-cost is the
limit of the whole test; --max-failures and --stop-on-error-rate end it with the level that reaches them.

The knee is the last level before latency (TTLT p50) grows by a larger factor than throughput (output
tokens/s, or requests where they are not known).";

pub(crate) const HEATMAP_EXAMPLES: &str = "\
Examples:
  llmeter heatmap --base-url http://localhost:8000/v1 --model my-model \\
                  --tokenizer tiktoken:o200k_base --input-lengths 64,256,1024 \\
                  --output-lengths 16,64,256 --requests-per-combination 10 --clients 4 \\
                  --run-name lengths
      90 requests: prompts of exactly 64, 256 and 1024 tokens, each with three limits of the output.
  llmeter show runs/lengths
      Print the tables again.

Prompts begin at different places of the text, so that a server's cache of prompts helps none. How long the
output is, is up to the model: the limit is no length. Servers have fields for that, such as vLLM's
--extra ignore_eos=true. The second set of tables is by the tokens that were counted.";

pub(crate) const DATA_EXAMPLES: &str = "\
Examples:
  llmeter data describe synthetic:prompt_tokens=512,prefix_tokens=256,prefix_count=8
      Lengths, and how much of the prompts a cache of prefixes can serve.
  llmeter data make synthetic:prompt_tokens=512,output_tokens=128 --requests 20 -o prompts.jsonl \\
                    --overwrite
      Payloads for --payload.

docs/data.md has the forms of files and traces, and the keys of synthetic data.";

pub(crate) const DATA_DESCRIBE_EXAMPLES: &str = "\
Examples:
  llmeter data describe prompts.jsonl --tokenizer tiktoken:o200k_base
      The rows of a file, by the tokens of a tokenizer.
  llmeter data describe synthetic:prompt_tokens=100,prompt_tokens_stdev=20 -n 500 --json
      The first 500 requests, as JSON.

A cache of prefixes is supposed to have no bound, and requests to come one after the other. Beginnings of texts are
compared in steps of 64 bytes, those of a trace by the blocks that it names.";

pub(crate) const DATA_MAKE_EXAMPLES: &str = "\
Examples:
  llmeter data make synthetic:prompt_tokens=512,output_tokens=128 --requests 20 -o made.jsonl
      20 payloads of chat completions.
  llmeter data make prompts.jsonl --endpoint anthropic-messages -o other.jsonl
      A file's rows as payloads of another API.";

pub(crate) const AB_EXAMPLES: &str = "\
Examples:
  llmeter ab --a a.toml --b b.toml --requests 10 --clients 4 --max-requests 4000
      Blocks of 40 requests to each, in turn, until it is known whether TTFT p50 differs.
  llmeter ab --a a.toml --b b.toml --metric output_tps --margin 2% --max-duration 10m \\
             --run-name old-new
      By throughput, where 2 % do not matter, for ten minutes at most.
  llmeter show runs/old-new
      Print the answer again.

The files are those of `llmeter run --config`; flags win over them, and a block is one such run (default: 10
requests for each client). Each round has a block of each variant in an order that is drawn anew, so that
drift is in all of them alike. Looking at the result while it comes is accounted for: docs/experiments.md
names the method. Limits are those of the whole test.";

pub(crate) const EXPORT_EXAMPLES: &str = "\
Examples:
  llmeter export runs/20260102-0304 --format benchmark-report-0.2.1 --output report.yaml
      The Benchmark Report of llm-d, which its dashboard reads.
  llmeter export runs/20260102-0304 --format aiperf-jsonl > profile_export.jsonl
      A record for each request, as AIPerf writes them.

What llmeter does not know is left out.";

pub(crate) const RUN_EXAMPLES: &str = "\
Examples:
  llmeter run --base-url https://api.openai.com/v1 --model gpt-4o-mini \\
              --prompt 'Tell me a story.' --max-tokens 128 --clients 8 --requests 20
      8 clients, 20 requests each; the key comes from OPENAI_API_KEY.
  llmeter run --base-url http://localhost:8000/v1 --model my-model \\
              --payload prompts.jsonl --clients 64 --duration 2m --warmup 64
      64 clients for two minutes, with payloads from a file, after 64 warm-up requests.
  llmeter run --base-url http://localhost:8000/v1 --model my-model --prompt 'Tell me a story.' \\
              --rate 20/s --max-in-flight 256 --duration 2m
      20 requests a second by the clock, whether those before have ended or not.
  llmeter run --endpoint bedrock-converse-stream --region us-east-1 \\
              --model amazon.nova-lite-v1:0 --prompt 'Tell me a story.' --requests 10
      Amazon Bedrock; credentials come from AWS_BEARER_TOKEN_BEDROCK, access keys or AWS_PROFILE.
  llmeter run --base-url https://api.openai.com/v1 --model gpt-4o-mini --image photo.jpg \\
              --prompt 'What is this?' --system @instructions.txt --clients 4 --requests 10
      A question about an image; `llmeter payload` with the same flags shows what is sent.
  llmeter run --config nightly.toml --strict --json > stats.json
      Settings from a file, statistics for a script.
  llmeter run … --output s3://bucket/team/runs
      Run folders in S3; credentials as the AWS tools have them in AWS_ACCESS_KEY_ID and
      AWS_SECRET_ACCESS_KEY or AWS_PROFILE, region and server in AWS_REGION and AWS_ENDPOINT_URL.
  llmeter run --base-url https://api.openai.com/v1 --model gpt-4o-mini --payload prompts.jsonl \\
              --clients 8 --duration 10m --cost-input 0.15 --cost-output 0.60 --max-cost 2.50
      Track costs, and stop before they exceed 2.50.

A payload is the body of a request; a line of prompts.jsonl looks like this:
  {\"messages\": [{\"role\": \"user\", \"content\": \"Tell me a story.\"}], \"max_tokens\": 128}

A configuration file uses the same names; its paths are relative to the current folder:
  base-url = \"http://localhost:8000/v1\"
  model = \"my-model\"
  payload = \"prompts.jsonl\"
  clients = 64
  duration = \"2m\"";

pub(crate) const PROBE_EXAMPLES: &str = "\
Examples:
  llmeter probe --base-url http://localhost:8000/v1 --model my-model
      Send a short question; show the connection, the headers, the frames and their times.
  llmeter probe --endpoint anthropic-messages-stream --model claude-sonnet-4-5 \\
                --prompt 'Tell me a story.' --frames all
      The same for another API, with every frame.
  llmeter probe --base-url unix:/run/llm.sock:/v1 --model my-model --json | jq .time_to_first_token
      Behind a Unix socket, for a script.

Without --prompt and --payload it sends a short question; of several payloads, the first. Keys and
other secrets are hidden. Exit codes: 0 success, 3 the request failed, 1 it could not be sent.";

pub(crate) const PAYLOAD_EXAMPLES: &str = "\
Examples:
  llmeter payload --prompt 'What is this?' --image photo.jpg --system 'Be brief.'
      The body of a streaming request to OpenAI Chat Completions, without a model.
  llmeter payload --endpoint bedrock-converse --model amazon.nova-lite-v1:0 \\
                  --prompt 'Summarize this.' --document report.pdf > payload.json
  llmeter run --endpoint bedrock-converse --model amazon.nova-lite-v1:0 --payload payload.json
      The same for another API, written to a file, then sent.
  for text in questions/*.txt; do
    llmeter payload --prompt \"@$text\" --max-tokens 128 --append payloads.jsonl
  done
      A file with a payload for each text.
  llmeter payload --endpoint gemini --payload payloads.jsonl
      What a run would send for the payloads in a file.

Needs no key and sends nothing. Binary values are written as in payload files, as
{\"__llmeter_bytes__\": \"base64\"}; a run sends them in the API's own encoding.";

pub(crate) const CAPACITY_EXAMPLES: &str = "\
Examples:
  llmeter capacity --base-url http://localhost:8000/v1 --model llmeter-sim --prompt Hello \\
                   --slo 'ttft-p90 < 500ms' --max 8 --run-name cap
      How many clients the server carries before one in ten waits half a second for its first token.
  llmeter capacity --base-url http://localhost:8000/v1 --model llmeter-sim --prompt Hello \\
                   --slo 'ttft-p90 < 500ms' --max 8 --run-name cap --resume
      Go on where an earlier search was interrupted.
  llmeter capacity … --min 4 --max 8 --slo 'ttft-p90 < 2s' --slo 'tpot-p90 < 1s'
      Several SLOs, from 4 clients on: all of them have to hold.

Clients are doubled until an SLO breaks, then the range between is halved until it is 5 % wide. A probe is
over as soon as the 95 % intervals of all figures tell on which side of its limit each is. An SLO of
single requests, like ttft < 500ms, has to be met by 99 % of them; failed requests meet none.";

pub(crate) const MERGE_EXAMPLES: &str = "\
Examples:
  for shard in 1 2; do
    llmeter run --base-url http://localhost:8000/v1 --model llmeter-sim --prompt Hello \\
                --clients 8 --requests 5 --seed 1 --shard $shard/2 \\
                --output runs --run-name part-$shard &
  done; wait
  llmeter merge runs/part-1 runs/part-2 --output runs/whole
      Play one load of 8 clients with two processes, here or on two machines, and make one run of it.
  llmeter merge runs/part-* --output runs/whole --overwrite --allow-missing
      Merge the parts that are there. Those that are missing are named in the merged run.

The merged folder is one of an ordinary run: `show`, `report`, `compare` and `export` take it.";

pub(crate) const SIMULATE_EXAMPLES: &str = "\
Examples:
  llmeter simulate --ttft 200ms --itl 20ms --output-tokens 128 --jitter 0.2
      A steady server with some jitter.
  llmeter simulate --max-concurrency 8 --prefill-rate 5000
      A server whose latency grows with load and with prompt length.
  llmeter simulate --prefill-rate 5000 --prefix-cache 100000 --max-tokens-in-flight 50000
      A server with a prefix cache, and a queue by tokens: repeated prompts and later turns of a
      conversation have a shorter TTFT, and their cached tokens are in the usage.
  llmeter simulate --tls --ca-file simulator.pem
      HTTPS; runs against it take --ca-file simulator.pem, too, and --http2 if wanted.
  llmeter simulate --error-rate 0.01 --stall-rate 0.001 --cut-rate 0.001
      A server with occasional failures.";

pub(crate) const DEMO_EXAMPLES: &str = "\
Examples:
  llmeter demo
      Run four loads; their run folders are under runs/.
  llmeter demo --output /tmp/runs --quiet
      The same without progress, into another folder.";

pub(crate) const SPIKE_EXAMPLES: &str = "\
Examples:
  llmeter spike --base-url http://localhost:8000/v1 --model my-model --prompt 'Tell me a story.' \\
                --rate 10/s --spike '100/s for 10s' --before 2m --after 5m --run-name spike
      Ten times the usual load for ten seconds; how long until latencies are as before?
  llmeter show runs/spike
      Print it again.

A figure has recovered with the first of three windows in a row in which it is no higher than what its windows
before the spike let expect (99 %), or 5 % above their mean. Failed requests are later than all others.";

pub(crate) const DRIFT_EXAMPLES: &str = "\
Examples:
  llmeter drift --base-url http://localhost:8000/v1 --model my-model --prompt 'Tell me a story.' \\
                --extra temperature=0 --max-tokens 64 --clients 8 --run-name drift
      Do answers change while eight clients ask at the same time?
  llmeter show runs/drift
      Print it again.

One client sends every payload twice, to know whether the server repeats itself at all; then every client
sends all of them. The runs alone are alone-1 and alone-2 in the folder of the run under load, and
'drift_rate > 1%' is a gate for --fail-if.";

pub(crate) const COLD_START_EXAMPLES: &str = "\
Examples:
  llmeter cold-start --base-url http://localhost:8000/v1 --model my-model --prompt 'Tell me a story.' \\
                     --wait 15m --run-name woken
      Ask a server that was scaled to zero until it answers, and until it is as fast as it gets.
  llmeter show runs/woken
      Print it again.

Requests that fail while the server wakes are counted and in no latency. Latencies are steady with the first of
three responses in a row that are no slower than the second half of all lets expect (99 %), or 5 % above its
mean.";

pub(crate) const CONTROL_EXAMPLES: &str = "\
Examples:
  llmeter run --base-url http://localhost:8000/v1 --model my-model --prompt 'Tell me a story.' \\
              --rate 20/s --duration 10m --run-name soak &
  llmeter control runs/soak --rate 40/s
      The run sends 40 requests a second from now on.
  llmeter control runs/soak --max-in-flight 64
      Requests wait while 64 are in flight; none takes the limit away.
  llmeter control runs/soak
      Print how the run goes on.
  llmeter control runs/soak stop
      Send nothing more; the run ends as usual once what is in flight has ended.

A run of clients takes --clients in the place of --rate. Each change is kept with the run: its summary and
report have the figures of each interval between changes.";

pub(crate) const LIST_EXAMPLES: &str = "\
Examples:
  llmeter list
      All runs and experiments below runs/, the newest first.
  llmeter list runs --where 'ttft-p99 < 500ms' --model gpt --since 7d --sort output_tps --reverse
      Those of the last week that were fast enough, by throughput.
  llmeter list s3://bucket/team/runs --limit 20
      The newest 20 in S3.
  llmeter list runs --format csv > runs.csv
      A line for each run, those of experiments included.

Of an experiment the figures are those of its runs, from the smallest to the largest. The last column
is the verdict, or how far a run came: running, interrupted, broken (killed), unreadable. What the
files say is kept in the user's cache folder, so that the next list is fast.";

pub(crate) const VIEW_EXAMPLES: &str = "\
Examples:
  llmeter view
      Print the address of a page with all runs and experiments below runs/; Ctrl-C ends it.
  llmeter view s3://bucket/team/runs --port 8080 --open
      Runs in S3, at a port of your choice, and the page in your browser.
  llmeter run … --view
      The page with the run that begins.

The page lists, filters and sorts, opens reports, compares the ticked runs, and follows runs in
progress, also those of other processes. It is served at 127.0.0.1 only, and its address has a secret:
whoever knows that sees the runs. From another machine: ssh -L 8080:127.0.0.1:8080 HOST.";

pub(crate) const SHOW_EXAMPLES: &str = "\
Examples:
  llmeter show runs/20260102-0304
      The summary that the run printed at its end.
  llmeter show runs/20260102-0304 --json | jq '.\"time_to_first_token-p99\"'
      One statistic for a script.
  llmeter show runs/20260102-0304 --metric ttft
      One metric in detail: percentiles with intervals, a histogram, the slowest requests.
  llmeter show runs/20260102-0304 --slo 'ttft < 2s' --fail-if 'goodput_rate < 95%'
      Exit code 5 if fewer than 95 % of the requests had their first token within 2 s.

Run folders of the Python package llmeter (0.1.12 and 0.2.0) can be shown as well, and so can
folders of runs that were interrupted or killed.";

pub(crate) const REPORT_EXAMPLES: &str = "\
Examples:
  llmeter report runs/20260102-0304
      A page with charts, runs/20260102-0304/llmeter-report.html. It opens in any browser, without a network.
  llmeter report runs/before runs/after --output report.html
      Both runs in the same charts, and how the second differs from the first.
  llmeter report runs/20260102-0304 --format md > report.md
      The tables, for a wiki or a comment.
  llmeter report runs/20260102-0304 --format png --output charts
      Each chart as an image.
  llmeter report runs/20260102-0304 --format parquet --output requests.parquet
      A row for each request, for pandas, polars or DuckDB.";

pub(crate) const COMPARE_EXAMPLES: &str = "\
Examples:
  llmeter compare runs/before runs/after
      What differs and the headline figures, each with its change, the interval of that, and a verdict.
  llmeter compare runs/before runs/after --fail-if 'ttft-p90 > +10%' --fail-if 'output_tps < -5%'
      Exit code 5 if TTFT p90 is shown to be more than 10 % higher, or output more than 5 % slower.
  llmeter baseline save main runs/before
  llmeter compare --baseline main runs/after --format markdown --output comment.md
      A comment for a pull request.

A verdict is better, worse, no difference shown, or not enough data. Requests of a run depend on each other, so
that blocks of them are drawn anew; 5 % is the chance that any figure of two equal servers gets a verdict of
better or worse. Load tests are compared level by level. Of repeats (--repeat) the means are compared, and what
changes from one to the next counts.";

pub(crate) const BASELINE_EXAMPLES: &str = "\
Examples:
  llmeter baseline save main runs/before --overwrite
      Keep the figures of a run as main in .llmeter/baselines, without prompts and responses.
  llmeter compare --baseline main runs/after
      Compare another run with it.";

pub(crate) const COST_EXAMPLES: &str = "\
Examples:
  llmeter cost runs/20260102-0304 --cost-input 3.00 --cost-cached-input 0.30 --cost-output 15.00
      What the run cost at these prices per million tokens.
  llmeter callbacks new CostModel > cost.json
  llmeter cost runs/20260102-0304 --model cost.json --write
      The same from a file, saved in the folder's statistics.

Failed requests cost what they used. Costs are in the currency of the prices.";

pub(crate) const CALLBACKS_EXAMPLES: &str = "\
Examples:
  llmeter callbacks
      The types with their fields.
  llmeter callbacks new CacheBuster > buster.json
  llmeter run --callback buster.json --base-url http://localhost:8000/v1 --model my-model \\
              --prompt 'Tell me a story.'
      A file for one of them, and a run that uses it.

In a configuration file a callback is a table, called in the order of the file:
  [[callbacks]]
  type = \"CacheBuster\"
  seed = 7";

pub(crate) const CALIBRATE_EXAMPLES: &str = "\
Examples:
  llmeter calibrate
      What this machine adds with 16 clients.
  llmeter calibrate --clients 1024 --itl 100ms --duration 10s
      The same for a load like the one you are going to measure.
  llmeter calibrate --stamps user
      What it adds without the kernel's receive stamps.";

pub(crate) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(llmeter completions bash)
      Enable completions in this shell; put it into ~/.bashrc for every shell.
  llmeter completions zsh > ~/.zfunc/_llmeter
  llmeter completions fish > ~/.config/fish/completions/llmeter.fish";

pub(crate) const MAN_EXAMPLES: &str = "\
Examples:
  llmeter man | man -l -
      Read the manual page.
  llmeter man run > ~/.local/share/man/man1/llmeter-run.1
      Install the page of `llmeter run`, for `man llmeter-run`.";

pub(crate) const MLFLOW_EXAMPLES: &str = "\
Examples:
  llmeter mlflow runs/20260102-0304 --mlflow http://localhost:5000 --mlflow-experiment nightly
      Log a run; the address at which it can be seen is printed.
  llmeter mlflow runs/20260102-0304
      Log it to the server that the run was to be logged to.";
