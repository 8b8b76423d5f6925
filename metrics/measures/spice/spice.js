// Drives the official SPICE classes, unmodified, as SpiceScorer.main does: parses each new caption once, then scores.
// Arguments: job file, cache folder, file for the scores. Prints "parse N", "score N" (items to do), "done N" (items done),
// "unreadable" if the database of the cache is, and "uncached N" (captions it cannot cache).
// Ends when standard input is closed: nobody wants the scores any more.
var spice = Packages.edu.anu.spice;
var job = JSON.parse(readFile(arguments[0], "UTF-8")), cache = arguments[1], scores = arguments[2];
var KEY_BYTES = 511;           // LMDB's longest key: the jar cannot cache a caption whose key is longer
var BATCH_SECONDS = 30;         // of parsing between two lines of progress, by the estimate below
var ITEMS = 500;               // scored at once
var GRAPH_BYTES = 60000;       // heap of a parse chart for each pair of words, with room to spare
var MODEL_BYTES = 1.3e9;       // heap of the models

watchStandardInput();
var coder = tupleCoder();
var cached = readParses();
var uncached = new java.util.HashSet();
var fresh = job.captions.filter(function (caption) {
  var keeps = coder.asByteArray(caption).length <= KEY_BYTES;
  if (!keeps) uncached.add(caption);
  return keeps && !cached.contains(caption);
});
var parsers = {};

print("parse " + fresh.length);
inBatches(fresh, secondsToParse, function (batch) {
  parserFor(batch).parseCaptions(list(batch));
});

print("score " + job.items.length);
var out = new java.io.PrintWriter(scores, "UTF-8");
inBatches(job.items, secondsToScore, function (batch) { out.println(score(batch)); });
out.close();
if (out.checkError()) throw new Error("could not write " + scores);
print("uncached " + uncached.size());
java.lang.System.exit(0);

function readParses() {
  try {
    return new spice.LmdbTupleDB(cache).getTransaction(list(job.captions)).keySet();
  } catch (error) {            // exceptions only, not Java's errors such as out of memory
    if (!refused(error.javaException)) print("unreadable");
    throw error;
  }
}

// Whether it was the system that refused to open or read the file; LMDB's own errors are negative.
function refused(cause) {
  return cause instanceof Packages.org.fusesource.lmdbjni.LMDBException && cause.getErrorCode() > 0;
}

function score(items) {
  var references = [], sizes = [], tests = [];
  items.forEach(function (item) {
    item.references.forEach(function (text) { references.push(text); });
    sizes.push(java.lang.Integer.valueOf(item.references.length));
    tests.push(item.test);
  });
  var parser = parserFor(references.concat(tests).filter(isUncached));
  var expected = parser.parseCaptions(list(references), list(sizes)), actual = parser.parseCaptions(list(tests));
  var stats = new spice.SpiceStats(filters(), false);
  items.forEach(function (item, place) {
    stats.score(java.lang.Integer.valueOf(item.number), actual.get(place), expected.get(place), true);
  });
  return stats.toJSONString();
}

function filters() {
  var map = new java.util.HashMap(), filter = spice.TupleFilter;
  map.put("Object", filter.objectFilter);
  map.put("Attribute", filter.attributeFilter);
  map.put("Relation", filter.relationFilter);
  map.put("Cardinality", filter.cardinalityFilter);
  map.put("Color", filter.colorFilter);
  map.put("Size", filter.sizeFilter);
  return map;
}

// As many threads as there are processors, but no more than the heap holds parse charts of the longest caption.
function parserFor(captions) {
  var runtime = java.lang.Runtime.getRuntime();
  var words = captions.reduce(function (most, caption) { return Math.max(most, caption.split(" ").length); }, 1);
  var fit = Math.floor((runtime.maxMemory() - MODEL_BYTES) / (GRAPH_BYTES / 2 * words * words));
  var threads = Math.max(1, Math.min(runtime.availableProcessors(), fit));
  if (!parsers[threads]) {
    parsers[threads] = new spice.SpiceParser(cache, java.lang.Integer.valueOf(threads), java.lang.Boolean.TRUE);
  }
  return parsers[threads];
}

function inBatches(all, seconds, work) {
  for (var start = 0, end = 0; start < all.length; start = end) {
    for (var cost = 0; end < all.length && (end === start || cost + seconds(all[end]) <= BATCH_SECONDS); end++) {
      cost += seconds(all[end]);
    }
    work(all.slice(start, end));
    print("done " + (end - start));
  }
}

function secondsToParse(caption) {
  var words = caption.split(" ").length;
  return 0.01 + 2e-3 * words + 2e-5 * words * words * words;
}

function secondsToScore(item) {
  return item.references.concat(item.test).filter(isUncached).reduce(function (sum, caption) {
    return sum + secondsToParse(caption);
  }, BATCH_SECONDS / ITEMS);
}

function isUncached(caption) { return uncached.contains(caption); }

// The coding of LmdbTupleDB, which determines the length of a key.
function tupleCoder() {
  var coder = Packages.org.nustaq.serialization.FSTConfiguration.createDefaultConfiguration();
  var classes = java.lang.reflect.Array.newInstance(java.lang.Class, 2);
  classes[0] = java.lang.String;
  classes[1] = java.util.ArrayList;
  coder.registerClass(classes);
  return coder;
}

function list(values) {
  var result = new java.util.ArrayList(values.length);
  values.forEach(function (value) { result.add(value); });
  return result;
}

function watchStandardInput() {
  var watch = new java.lang.Thread(function () {
    while (java.lang.System["in"].read() >= 0);
    java.lang.Runtime.getRuntime().halt(1);
  });
  watch.setDaemon(true);
  watch.start();
}
