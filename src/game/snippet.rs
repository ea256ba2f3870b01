//! The Lua that is sent: one line that prints one JSON, the same on 1.1 and 2.x. No foreign text goes into it.
//!
//! Each section runs in a `pcall` of its own and is encoded on its own: one that fails, or would make the answer longer than
//! it may be, is missing from the answer and stands under `errors` instead.

use crate::config::settings::{LuaSection, SampleSettings};
use crate::rcon::{CommandLine, RconError};

/// The clock of the map: tick, speed, whether it is halted.
pub(super) const CLOCK: &str = "/sc rcon.print(game.tick..' '..game.speed..' '..tostring(game.tick_paused))";

/// What every answer begins with. `S` runs a section, `C` keeps the names with the most, `A` adds what flows in and out, `F`
/// are the forces that have players, `Q` walks over their statistics: properties before 2.0, methods of a surface since.
const BEGIN: &str = "local J=V and V.table_to_json or G.table_to_json \
    local function S(k,f)local a,r=pcall(function()return J(f())end)if not a then E[k]=tostring(r):sub(1,200)\
    elseif T+#r>B then E[k]='too long: '..#r..' bytes'else T=T+#r P[#P+1]='\"'..k..'\":'..r end end \
    local function C(d)local a,o={},{}for k,v in pairs(d)do a[#a+1]={k,v}end \
    table.sort(a,function(x,y)if x[2]~=y[2]then return x[2]>y[2]end return x[1]<y[1]end)\
    for i=1,math.min(N,#a)do o[a[i][1]]=a[i][2]end return o,math.max(0,#a-N)end \
    local function A(o,f,s,t,n)local i,x=C(t.input_counts)local u,y=C(t.output_counts)\
    if next(i)or next(u)then o[#o+1]={force=f.name,surface=s and s.name,network=n,input=i,output=u,input_cut=x,output_cut=y}end end \
    local F={}for _,f in pairs(G.forces)do if #f.players>0 then F[#F+1]=f end end \
    if #F==0 then F[1]=G.forces.player end \
    local function Q(k)local o={}for _,f in pairs(F)do \
    if V then for _,s in pairs(G.surfaces)do A(o,f,s,f['get_'..k..'_statistics'](s))end \
    else A(o,f,nil,f[k..'_statistics'])end end return o end \
    S('map',function()return{tick=G.tick,speed=G.speed,paused=G.tick_paused,known=#G.players}end)\
    S('version',function()return V and V.game_version or script.active_mods.base end)";

const END: &str = "rcon.print('{'..table.concat(P,',')..(#P>0 and','or'')..'\"errors\":'..J(E)..'}')";

/// What a section returns.
fn body(section: LuaSection) -> &'static str {
    match section {
        LuaSection::Players => {
            "local o={}for _,p in pairs(G.connected_players)do o[#o+1]={name=p.name,ticks=p.online_time}end return o"
        }
        LuaSection::Evolution => {
            "local o,W={},{G.forces.enemy}for _,f in pairs(F)do W[#W+1]=f end \
             local function D(f,s)local function g(k)k='evolution_factor'..k if V then return f['get_'..k](s)end return f[k]end \
             o[#o+1]={force=f.name,surface=s and s.name,total=g'',by_pollution=g'_by_pollution',by_time=g'_by_time',\
             by_killing_spawners=g'_by_killing_spawners'}end \
             for _,f in pairs(W)do if V then for _,s in pairs(G.surfaces)do if not s.platform then D(f,s)end end \
             else D(f)end end return o"
        }
        LuaSection::Research => {
            "local o={}for _,f in pairs(F)do local t,q=f.current_research,{}\
             for i,x in ipairs(f.research_queue or{})do q[i]={name=x.name,level=x.level}end \
             o[#o+1]={force=f.name,name=t and t.name,level=t and t.level,progress=t and f.research_progress,queue=q}end return o"
        }
        LuaSection::Rockets => {
            "local o={}for _,f in pairs(F)do local d={}for k,v in pairs(f.items_launched)do \
             if type(v)=='table'then d[v.name]=(d[v.name]or 0)+v.count else d[k]=v end end \
             local i,x=C(d)o[#o+1]={force=f.name,launched=f.rockets_launched,items=i,cut=x}end return o"
        }
        LuaSection::Platforms => {
            "local o,n={},{}if V then for k,v in pairs(defines.space_platform_state)do n[v]=k end \
             for _,f in pairs(F)do for _,p in pairs(f.platforms)do local l=p.space_location \
             o[#o+1]={force=f.name,name=p.name,state=n[p.state],location=l and l.name}end end end return o"
        }
        LuaSection::Seeds => "local o={}for _,s in pairs(G.surfaces)do o[s.name]=s.map_gen_settings.seed end return o",
        LuaSection::Items => "return Q'item_production'",
        LuaSection::Fluids => "return Q'fluid_production'",
        LuaSection::Kills => "return Q'kill_count'",
        LuaSection::Builds => "return Q'entity_build_count'",
        LuaSection::Pollution => {
            "local o={}if V then for _,s in pairs(G.surfaces)do A(o,F[1],s,G.get_pollution_statistics(s))end \
             else A(o,F[1],nil,G.pollution_statistics)end return o"
        }
        // A network is found by its poles: fifty of them for each surface and force, so that the game need not look long.
        LuaSection::Electricity => {
            "local o,d={},{}for _,s in pairs(G.surfaces)do for _,f in pairs(F)do \
             for _,p in pairs(s.find_entities_filtered{type='electric-pole',force=f,limit=50})do \
             local n=p.electric_network_id if n and not d[n]then d[n]=1 A(o,f,s,p.electric_network_statistics,n)end \
             end end end return o"
        }
    }
}

/// The command that asks for everything at once.
///
/// # Errors
/// Never, while all sections fit into a command: a test holds that.
pub(super) fn command(settings: &SampleSettings) -> Result<CommandLine, RconError> {
    let asked = LuaSection::ALL.into_iter().filter(|section| settings.sections.contains(section));
    let section = |at: LuaSection| ["S('", at.as_str(), "',function()", body(at), " end)"].concat();
    let sections = asked.map(section).collect::<Vec<_>>().concat();
    let (names, bytes) = (settings.top_names, settings.max_reply_bytes);
    CommandLine::parse(&format!(
        "/sc local G,V,N,B,E,P,T=game,helpers,{names},{bytes},{{}},{{}},0 {BEGIN}{sections}{END}"
    ))
}

#[cfg(test)]
#[path = "snippet_tests.rs"]
mod tests;
