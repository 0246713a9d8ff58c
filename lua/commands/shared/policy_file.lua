-- policy_file: the FILE of `policy check FILE` and its kin, which is --policy FILE said
-- in short.
local report = require "moonlatch.commands.shared.report"

local M = {}

function M.add(p)
    p:argument("file", "the policy; default as for get"):argname("FILE"):args("?")
end

function M.take(args)
    if not args.file then return end
    if args.policy and args.policy ~= args.file then
        error(report.usage("the policy is given twice: as FILE and by --policy"))
    end
    args.policy = args.file
end

return M
